"""The corpus study read from files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.studies.corpus import reading, tables
from tests.studies.corpus.toy import data


def write_files(folder: Path) -> tuple[Path, Path, Path, Path, Path]:
    paths = tuple(
        folder / f"{name}.h5" for name in ("targets", "near_duplicates", "deduplication", "groups", "exposure")
    )
    wanted = data()
    with hdf5.create(paths[0]) as file:
        hdf5.write(file, "bucket", wanted.bucket.astype("<u4"))
        hdf5.write(file, "count", wanted.count)
    for path, names in ((paths[1], ("target", "distance")), (paths[2], ("longest_common",))):
        with hdf5.create(path) as file:
            for metric, found in wanted.near.items():
                for name in names:
                    hdf5.write(file.require_group(metric), name, getattr(found, name))
            file.attrs.update(length=100, max_distance=10, n_targets=4, n_tokens=5000)
    with hdf5.create(paths[3]) as file:
        for name, values in zip(("count", "groups"), wanted.histograms["chunk-00"]):
            hdf5.write(file.require_group("histogram"), name, values)
    with hdf5.create(paths[4]) as file:
        for name, values in wanted.exposure.items():
            hdf5.write(file, name, values)
    return paths


def test_files_are_read_into_the_same_tables(tmp_path: Path) -> None:
    targets, near_duplicates, deduplication, groups, exposure = write_files(tmp_path)
    read = reading.read(targets, near_duplicates, deduplication, {"chunk-00": groups}, 0.5, exposure)
    wanted = data(scanned_fraction=0.5, histograms={"chunk-00": (np.array([2]), np.array([7]))})
    for name, table in tables.make(wanted).items():
        pd.testing.assert_frame_equal(tables.make(read)[name], table)


def test_files_of_different_runs_are_refused(tmp_path: Path) -> None:
    targets, near_duplicates, deduplication, *_ = write_files(tmp_path)
    with hdf5.create(deduplication) as file:
        for metric in tables.METRICS:
            hdf5.write(file.create_group(metric), "longest_common", np.zeros(2, "<u2"))
    with pytest.raises(TesseraError, match="2 rows by hamming, but"):
        reading.read(targets, near_duplicates, deduplication)
    with hdf5.create(targets) as file:
        hdf5.write(file, "bucket", np.zeros(3, "<u4"))
        hdf5.write(file, "count", np.zeros(3, int))
    with pytest.raises(TesseraError, match=r"made from 4 targets, but .* has 3"):
        reading.read(targets, near_duplicates)
