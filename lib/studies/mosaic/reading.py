"""The mosaic study as its stages left it on disk: scores and injected copies as records, metrics as training curves."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5
from lib.studies import collect
from lib.studies.mosaic import bag_of_words
from lib.studies.mosaic.excerpts import Book, Copy
from lib.studies.mosaic.figures import TrainingCurve
from lib.studies.mosaic.measurements import Record


def read(labels: Mapping[str, Any], scores: Path, injected: Path) -> Record:
    """The record of one fine-tuned model: scores.h5, and the copies in injected.h5. Checks every checksum."""
    sides = collect.verified_columns(scores, "members", "non_members")
    copies = collect.verified_columns(injected, "effective_copies", "nominal_copies")
    effective, nominal = (float(np.mean(copies[name])) for name in ("effective_copies", "nominal_copies"))
    return Record(labels, **sides, effective_copies=effective, nominal_copies=nominal)


def baseline(labels: Mapping[str, Any], members: Path, non_members: Path) -> Record | None:
    """How well a bag of words tells members from non-members (see `bag_of_words`). Checks every checksum.

    labels: model, seed and setting. None, and a warning, where there are too few canaries.
    """
    for file in (members, non_members):
        store.verify(file.parent)
    tokens = [hdf5.read(file, "tokens") for file in (members, non_members)]
    record = bag_of_words.record(labels["model"], labels["seed"], tokens[0], tokens[1])
    return record and replace(record, labels={**record.labels, "setting": labels["setting"]})


def training_curve(metrics: Path) -> TrainingCurve:
    """Held-out loss and AUC during one fine-tuning. Checks the file's checksum."""
    store.verify_file(metrics)
    return TrainingCurve(*(hdf5.read(metrics, name) for name in ("evaluation_step", "held_out_loss", "auc")))


def canary(canaries: Path, row: int) -> np.ndarray:
    """The ids of one canary (length,). Checks every checksum."""
    return collect.verified_columns(canaries, "tokens")["tokens"][row]


def copies(injected: Path, row: int) -> list[Copy]:
    """The copies of one canary in its book, in the order in which they were injected. Checks every checksum."""
    found = collect.verified_columns(injected, "text", "text_offsets", "spans", "copy")
    start, stop = found["text_offsets"][row : row + 2]
    text, spans, owner = found["text"][start:stop].tobytes().decode(), found["spans"][row], found["copy"]
    book = Book(row + 1, len(found["text_offsets"]) - 1, text, spans)
    return [Copy(book, spans[owner == one].tolist()) for one in np.unique(owner)]


def variation(duplicates: Path, row: int) -> np.ndarray:
    """The ids of the first variation of one canary (any length,). Checks every checksum."""
    found = collect.verified_columns(duplicates, "tokens", "offsets", "canary")
    first = int(np.flatnonzero(found["canary"] == row)[0])
    return found["tokens"][slice(*found["offsets"][first : first + 2].tolist())]
