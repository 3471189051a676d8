"""Stores and reads the evidence that membership scores are computed from, so that they can be computed again.

In a scores file the evidence of `members` (and `non_members`) is the group `evidence/members`: rows per text as
values and offsets (`log_probs`, `log_probs_offsets`), strings as UTF-8 bytes, and one number per text as it is.
The keys are those of `lib.attacks.scores`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lib.base import hdf5

ROWS = (
    "log_probs", "mu", "sigma", "top_log_probs", "lower_log_probs", "prefixed_log_probs", "reference_log_probs",
)  # fmt: skip


def write(parent: h5py.Group, evidence: Mapping[str, Any]) -> None:
    """Write the evidence of one side (float32 rows, float64 numbers, UTF-8 strings) into a group."""
    for name, value in evidence.items():
        if name in ROWS:
            hdf5.write_ragged(parent, name, value, offsets=f"{name}_offsets", dtype="<f4")
        elif name == "texts":
            hdf5.write_texts(parent, name, value)
        else:
            hdf5.write(parent, name, np.asarray(value, dtype="<f8"))


def read(file: Path, side: str) -> dict[str, Any]:
    """The evidence of "members" or "non_members" in a scores file, as `lib.attacks.scores.compute` takes it."""
    group = f"evidence/{side}"
    prefix = f"{group}/"
    found = [name.removeprefix(prefix) for name in hdf5.rows(file) if name.startswith(prefix)]
    return {name: _read(file, group, name) for name in found if not name.endswith("_offsets")}


def _read(file: Path, group: str, name: str) -> Any:
    if name in ROWS:
        return hdf5.read_ragged(file, f"{group}/{name}", f"{group}/{name}_offsets")
    if name == "texts":
        return hdf5.read_texts(file, f"{group}/{name}")
    return hdf5.read(file, f"{group}/{name}")
