"""The stage `exposure`: what near-duplicates count as, for each target."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from jobs.corpus import exposure
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.base.places import SWEEPS


@pytest.fixture
def near(tmp_path: Path) -> Path:
    with hdf5.create(tmp_path / "near_duplicates.h5") as file:
        file.attrs.update(length=20, n_targets=3)
        for metric, distances in {"levenshtein": [0, 0, 1, 5, 10, 0], "hamming": [0, 0, 2, 6, 12, 0]}.items():
            group = file.create_group(metric)
            hdf5.write(group, "target", np.array([0, 0, 0, 0, 2, 2], "<u4"))
            hdf5.write(group, "distance", np.array(distances, "<u2"))
    return tmp_path / "near_duplicates.h5"


def made(config: exposure.Config, near: Path, out: Path) -> dict[str, list[float]]:
    exposure.run(config, {"near_duplicates": near}, out)
    return {
        name: hdf5.read(out / "exposure.h5", name).tolist() for name in ("exact", "near", "exposure", "low", "high")
    }


def test_published_rho_of_the_share_that_differs(near: Path, tmp_path: Path) -> None:
    found = made(exposure.Config(), near, tmp_path)
    assert (found["exact"], found["near"]) == ([2, 0, 1], [2, 0, 1])
    assert found["exposure"] == pytest.approx([2 + 0.7811 + 0.4014, 0, 1 + 0.1864])  # at .05, .25 and .5
    assert all(low <= one <= high for low, one, high in zip(found["low"], found["exposure"], found["high"]))
    by_hamming = made(exposure.Config(metric="hamming"), near, tmp_path)
    assert by_hamming["exposure"][0] == pytest.approx(2 + 0.6462 + (4 * 0.4014 + 0.1864) / 5)


def test_a_plan_holds_the_values_so_that_another_rho_is_another_task(near: Path, tmp_path: Path) -> None:
    planned = exposure.pin(exposure.Config())
    assert planned.values[:2] == (0.8977, 0.7811)
    assert made(planned, near, tmp_path)["exposure"] == made(exposure.Config(), near, tmp_path)["exposure"]
    table = "gallery/near_dupls_laptop_rho.csv"
    ours, named = (exposure.pin(replace(planned, rho=rho)) for rho in (f"sweeps/{table}", str(SWEEPS / table)))
    assert (ours.levels, ours.values) == (named.levels, named.values)
    assert ours.values != planned.values
    without = replace(planned, low=(), high=())
    assert np.isnan(made(without, near, tmp_path)["low"]).all()


def test_a_table_of_other_targets_is_refused(near: Path, tmp_path: Path) -> None:
    with h5py.File(near, "r+") as file:
        file.attrs["n_targets"] = 2
    with pytest.raises(TesseraError, match="target 2 of 2"):
        made(exposure.Config(), near, tmp_path)
