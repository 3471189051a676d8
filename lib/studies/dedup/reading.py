"""The dedup study as its stages left it on disk, read into arrays and tables."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base import hdf5
from lib.studies.dedup import tables
from lib.studies.dedup.tables import LEFT_COLUMNS, Removed, Sought
from lib.studies.mosaic import published

TOTALS = ("tokens", "gone_tokens", "documents", "cut_documents", "gone_documents")
SUMS = ("cause", "copies", "cuts", "tokens", "bytes")
FOUND = ("target", "distance")


ROUNDS = ("cleaned_once", "cleaned")


def read(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """All tables by name. files: node -> its result; `cleaned_once`, and what else there is."""
    rounds = [removed(files[node]) for node in ROUNDS if node in files]
    found = {"totals": tables.totals_table(rounds), "removed": tables.removed_table(rounds)}
    if "left" in files:
        found["left"] = tables.left_table(left(files["left"]))
    if "windows" in files:
        found["contamination"] = tables.contamination_table(sought(files["windows"], files["near_duplicates"]))
    return found


def removed(cleaned: Path) -> Removed:
    """The sums of cleaned.h5."""
    attributes = hdf5.attributes(cleaned)
    sums = {name: hdf5.read(cleaned, f"summary/{name}").astype(np.int64) for name in SUMS}
    return Removed({name: int(attributes[name]) for name in TOTALS}, sums)


def left(file: Path) -> dict[str, int]:
    """What left.h5 says."""
    attributes = hdf5.attributes(file)
    return {name: int(attributes[name]) for name in LEFT_COLUMNS}


def sought(targets: Path, near_duplicates: Path) -> Sought:
    """The windows of texts, their near-duplicates by Levenshtein distance, and the published rho of GPT-Neo 1.3B."""
    theirs = published.rho("replacements", published.STAND_IN, "")
    columns = {name: hdf5.read(near_duplicates, f"levenshtein/{name}").astype(np.int64) for name in FOUND}
    return Sought(
        names=hdf5.read_texts(targets, "names"),
        text_tokens=hdf5.read(targets, "text_tokens").astype(np.int64),
        text=hdf5.read(targets, "text").astype(np.int64),
        length=int(hdf5.attributes(targets)["length"]),
        levels=theirs["value"].to_numpy(float) / published.LENGTH,
        rho=theirs["rho_mean"].to_numpy(float),
        **columns,
    )
