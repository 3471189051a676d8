"""Figures, findings and report of the exposure study, and its files read again."""

from pathlib import Path

import numpy as np
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.reporting.writer import Description
from lib.studies.exposure import findings, reading, results, tables
from tests.studies.exposure.passages import passages

RHOS = {"true": (np.array([0.25]), np.array([0.5])), "none": (np.array([0.25]), np.array([0.0]))}


def test_figures_and_report_are_the_same_bytes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "DRAWS", 20)
    seeds = [passages(seed) for seed in (1, 2)]
    for folder in ("a", "b"):
        found = results.write(tmp_path / folder, "exposure", seeds, RHOS, Description("exposure"))
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file())
    wanted = {"conditions.csv", "predictions.h5", "gain.png", "worth.svg", "report.html"}
    assert wanted <= {file.name for file in files}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    header, rows = results.summary(found)
    assert [row[0] for row in rows] == ["exact copies", "all copies as exact", "exposure, ρ true", "exposure, ρ none"]
    assert {len(row) for row in rows} == {len(header)}
    words = " ".join(findings.in_words(found["conditions"], found["predictions"]))
    assert "A near-duplicate with 25 replaced tokens (25 % of the tokens differ) counted as 0.5" in words
    assert "Only 2 seeds" in next(iter(findings.warnings(found["conditions"], 2)))


def written(folder: Path, loss: list[float]) -> Path:
    folder.mkdir()
    with hdf5.create(folder / "audit.h5") as file:
        file.attrs["suffix_tokens"] = 4
        windows, texts = file.create_group("windows"), file.create_group("texts/scores")
        hdf5.write(windows, "text", np.repeat(np.arange(len(loss)), 2))
        hdf5.write(windows, "matched", np.tile([1, 3], len(loss)))
        hdf5.write(windows, "log_p_own", np.full(2 * len(loss), -np.log(100)))
        hdf5.write(texts, "loss", np.array(loss))
    return folder / "audit.h5"


def test_a_seed_is_read_from_its_files(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "planted.h5") as file:
        for name, texts in (("kind", ["exact", "translation"]), ("setting", ["", "b==1"])):
            hdf5.write_texts(file, name, texts)
        for name, values in (("level", [0, 0]), ("exact", [2, 1]), ("near", [0, 2])):
            hdf5.write(file, name, np.array(values, "<u4"))
    with hdf5.create(tmp_path / "near.h5") as file:
        file.attrs.update(length=10, n_targets=2)
        group = file.create_group("levenshtein")
        hdf5.write(group, "target", np.array([0, 0, 1, 1, 1], "<u4"))
        hdf5.write(group, "distance", np.array([0, 0, 0, 2, 4], "<u2"))
    with hdf5.create(tmp_path / "exposure.h5") as file:
        file.attrs.update(levels=np.array([0.5]), rho=np.array([0.2]))
        hdf5.write(file, "exposure", np.array([2, 2.2]))
    files = tmp_path / "planted.h5", tmp_path / "near.h5"
    audit, base = written(tmp_path / "a", [-1.0, -2.0]), written(tmp_path / "b", [-4.0, -4.5])
    found = reading.read(3, *files, audit, base, {"mine": tmp_path / "exposure.h5"})
    assert found.conditions() == [("exact", "", 0, 2, 0), ("translation", "b", 0, 1, 2)]
    assert found.gain.tolist() == [3.0, 2.5]
    assert found.share[1] == pytest.approx(0.3)
    assert np.isnan(found.share[0])
    assert found.count.tolist() == [2, 1]
    assert (found.matched.tolist(), found.log10_p.tolist()) == ([0.5, 0.5], pytest.approx([-2, -2]))
    assert found.exposure["mine"].tolist() == [2, 2.2]
    assert reading.rho(tmp_path / "exposure.h5")[0].tolist() == [0.5]
    with pytest.raises(TesseraError, match=r"1 passages, but .* has 2"):
        reading.read(3, *files, audit, written(tmp_path / "c", [-4.0]), {})
