"""The exposure study as its stages left it on disk, read into arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.studies.exposure.tables import Passages

LN_10 = float(np.log(10))


def read(
    seed: int, planted: Path, near_duplicates: Path, audit: Path, base: Path, exposures: Mapping[str, Path]
) -> Passages:
    """What the passages of one seed got and gained.

    planted, near_duplicates: of its text; audit: of the passages under its model, base: under that of a text without
    them; exposures: name of a rho -> exposure.h5. Raises TesseraError naming a file that is not of these passages.
    """
    numbers = {name: hdf5.read(planted, name).astype(np.int64) for name in ("level", "exact", "near")}
    (mine, matched, log_p), (others, *_) = _audited(audit), _audited(base)
    n = len(numbers["exact"])
    for file, length in ((audit, len(mine)), (base, len(others))):
        if length != n:
            raise TesseraError(f"{file}: {length} passages, but {planted} has {n}; they are of two runs")
    kind, setting = (hdf5.read_texts(planted, name) for name in ("kind", "setting"))
    return Passages(
        seed=seed, kind=kind, setting=[name.partition("==")[0] for name in setting], **numbers,
        **_held(near_duplicates, numbers["near"]), gain=mine - others, matched=matched, log10_p=log_p / LN_10,
        exposure={name: hdf5.read(file, "exposure") for name, file in exposures.items()},
    )  # fmt: skip


def rho(exposure: Path) -> tuple[NDArray, NDArray]:
    """The levels (shares) and values of rho that an exposure.h5 was made with."""
    found = hdf5.attributes(exposure)
    return np.asarray(found["levels"]), np.asarray(found["rho"])


def _audited(audit: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Of each passage: the mean log-probability of a suffix token, the share of a suffix that greedy decoding repeats,
    ln p_z in the model's own distribution; means over its windows."""
    loss, text = hdf5.read(audit, "texts/scores/loss"), hdf5.read(audit, "windows/text").astype(np.int64)
    windows = np.bincount(text, minlength=len(loss))
    if not windows.all():
        raise TesseraError(f"{audit}: passage {int(windows.argmin())} is shorter than a window; lower suffix_tokens")
    suffix = int(hdf5.attributes(audit)["suffix_tokens"])
    columns = (hdf5.read(audit, f"windows/{name}") for name in ("matched", "log_p_own"))
    matched, log_p = (np.bincount(text, values, len(loss)) / windows for values in columns)
    return loss, matched / suffix, log_p


def _held(near_duplicates: Path, near: NDArray) -> dict[str, NDArray]:
    """count: how many copies of each passage are exact in the text, a translation that says the same among them;
    share: the mean share of tokens in which its `near` near-duplicates differ, NaN without any."""
    columns = (hdf5.read(near_duplicates, f"levenshtein/{name}").astype(np.int64) for name in ("target", "distance"))
    (target, distance), n = columns, len(near)
    shares = np.bincount(target, distance / int(hdf5.attributes(near_duplicates)["length"]), n)
    mean = np.divide(shares, near, out=np.full(n, np.nan), where=near > 0)
    return {"count": np.bincount(target[distance == 0], minlength=n), "share": mean}
