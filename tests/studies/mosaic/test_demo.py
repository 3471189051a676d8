import csv
import statistics
import time

import pytest

import launch
from lib.base.places import PUBLISHED
from lib.studies.mosaic import demo


def rows_of(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs")
    started = time.process_time()
    assert demo.run(root).is_file()
    assert time.process_time() - started < 60
    return root / "sweeps" / "demo"


def test_the_demo_gives_the_published_rho(folder):
    rows = rows_of(folder / "tables" / "rho.csv")
    means = {
        (row["model"], row["level"]): row
        for row in rows
        if row["seed"] == "" and row["attack"] == "ratio" and row["estimator"] == "paper"
    }
    published = [row for row in rows_of(PUBLISHED / "mosaic_rho.csv") if row["experiment"] == "replacements"]
    assert len(published) == len(means) == 32
    for row in published:
        mean = means[row["model"], row["value"]]
        assert f"{float(mean['rho']):.4f}" == f"{float(row['rho_mean']):.4f}"
        assert f"{float(mean['rho_std']):.4f}" == f"{float(row['rho_std']):.4f}"


def test_the_demo_covers_every_attack_seed_and_estimator(folder):
    rows = rows_of(folder / "tables" / "rho.csv")
    aucs = rows_of(PUBLISHED / "mosaic_aucs.csv")
    wanted = {(a["model"], a["attack"], a["value"], a["seed"]) for a in aucs if a["variable"] == "replacements"}
    for estimator in ("paper", "isotonic"):
        mine = [row for row in rows if row["estimator"] == estimator]
        assert {(r["model"], r["attack"], r["level"], r["seed"]) for r in mine if r["seed"]} == wanted
        for row in (r for r in mine if not r["seed"]):
            seeds = [
                float(r["rho"])
                for r in mine
                if r["seed"] and all(r[key] == row[key] for key in ("model", "attack", "level"))
            ]
            assert float(row["rho"]) == pytest.approx(statistics.fmean(seeds), abs=1e-6)
            assert float(row["rho_std"]) == pytest.approx(statistics.pstdev(seeds), abs=1e-6)


def test_the_demo_writes_figures_and_a_report(folder):
    aucs = {f"auc_{kind}{which}" for kind in ("exact", "replace") for which in ("", "_attacks")}
    stems = aucs | {"rho_replace_paper", "rho_replace_isotonic", "rho_replace_attacks"}
    assert {file.name for file in (folder / "figures").iterdir()} == {
        f"{s}.{x}" for s in stems for x in ("png", "pdf", "svg")
    }
    report = (folder / "report.html").read_text()
    assert "clamped" in report
    assert "Intervals are 95 %" not in report  # there are none
    assert "mean over 5 seeds." in report
    assert "extrapolated" in report


def test_a_root_that_cannot_be_written_is_an_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert launch.main(["demo", "--outputs", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err
