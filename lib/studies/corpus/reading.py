"""The corpus study as its stages left it on disk, read into arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.studies.corpus.tables import EXPOSURE, METRICS, NearDuplicates, SlimpajamaData


def read(
    targets: Path, near_duplicates: Path, deduplication: Path | None = None, groups: Mapping[str, Path] | None = None,
    scanned_fraction: float = 1.0, exposure: Path | None = None,
) -> SlimpajamaData:  # fmt: skip
    """The data of targets.h5, near_duplicates.h5 and, if given, deduplication.h5, exposure.h5 and groups of chunks.

    scanned_fraction: the share of the corpus that was scanned for near_duplicates.h5.
    Raises TesseraError naming a file that is damaged or does not belong to the others.
    """
    bucket, count = hdf5.read(targets, "bucket"), hdf5.read(targets, "count")
    length, max_distance, n_targets = _attributes(near_duplicates)
    if n_targets != len(bucket):
        raise TesseraError(f"{near_duplicates}: made from {n_targets} targets, but {targets} has {len(bucket)}")
    return SlimpajamaData(
        bucket=bucket.astype(np.int64), count=count, length=length, max_distance=max_distance,
        near={metric: _near(near_duplicates, deduplication, metric) for metric in METRICS},
        scanned_fraction=scanned_fraction,
        histograms={chunk: _histogram(path) for chunk, path in (groups or {}).items()},
        exposure={name: hdf5.read(exposure, name) for name in EXPOSURE} if exposure else {},
    )  # fmt: skip


def _attributes(path: Path) -> tuple[int, ...]:
    found = hdf5.attributes(path)
    names = ("length", "max_distance", "n_targets")
    missing = [name for name in names if name not in found]
    if missing:
        raise TesseraError(f"{path}: no attribute '{missing[0]}'; make it with the stage near_duplicates")
    return tuple(int(found[name]) for name in names)


def _near(path: Path, deduplication: Path | None, metric: str) -> NearDuplicates:
    longest = None if deduplication is None else hdf5.read(deduplication, f"{metric}/longest_common")
    target, distance = (hdf5.read(path, f"{metric}/{name}") for name in ("target", "distance"))
    if longest is not None and len(longest) != len(target):
        raise TesseraError(
            f"{deduplication}: {len(longest)} rows by {metric}, but {path} has {len(target)}; they are of two runs"
        )
    return NearDuplicates(target, distance, longest)


def _histogram(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return hdf5.read(path, "histogram/count"), hdf5.read(path, "histogram/groups")
