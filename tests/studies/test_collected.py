"""Which runs are collected, and which of them the report over all sweeps shows."""

import json
from pathlib import Path

import pytest

from lib.base import places
from lib.base.errors import TesseraError, UsageError
from lib.plans import runs
from lib.studies import collected


def write(root: Path, run: str, ended: str | None = None, settings: tuple[str, ...] = ()) -> None:
    """A collected run; without `ended` as older code has left it."""
    file = places.report_data(root, run)
    file.parent.mkdir(parents=True)
    file.touch()
    if ended:
        sweep, profile = runs.sweep_and_profile(run)
        known = {"sweep": sweep, "profile": profile, "settings": settings, "ended": ended}
        places.run_record(root, run).write_text(json.dumps(known))


def names(found: list[collected.Collected]) -> list[str]:
    return [run.name for run in found]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One sweep with its default run, one with two others, one with an old run beside a known one, one old run."""
    for run, ended in {
        "a": "2026-01-01",
        "a--paper": "2026-03-01",
        "b--paper": "2026-01-01",
        "b--smoke--seeds-2-0123abcd": "2026-02-01",
        "c": None,
        "c--smoke": "2026-01-01",
        "d": None,
    }.items():
        write(tmp_path, run, ended)
    return tmp_path


def test_of_each_sweep_the_default_run_is_shown_else_the_newest_and_an_unknown_one_last(root: Path) -> None:
    found = collected.find(root)
    assert len(found) == 7
    assert names(collected.chosen(found, [])) == ["a", "b--paper", "c--smoke", "d"]


def test_a_run_of_profile_smoke_gives_way_to_every_other_one(tmp_path: Path) -> None:
    write(tmp_path, "a--paper", "2026-01-01")
    write(tmp_path, "a--smoke", "2026-02-01")
    assert names(collected.chosen(collected.find(tmp_path), [])) == ["a--paper"]


def test_a_run_that_is_asked_for_is_shown(root: Path) -> None:
    found = collected.find(root)
    assert names(collected.chosen(found, ["a--paper", "c"])) == ["a--paper", "b--paper", "c", "d"]
    with pytest.raises(UsageError, match=r"--run a--papr: no such run is collected; did you mean 'a--paper'"):
        collected.chosen(found, ["a--papr"])
    with pytest.raises(UsageError, match=r"a and a--paper are of one sweep|a--paper and a are of one sweep"):
        collected.chosen(found, ["a", "a--paper"])


def test_the_table_lists_every_run_and_the_warnings_say_what_is_not_comparable(root: Path) -> None:
    places.submits(root, "e--smoke").mkdir(parents=True)
    places.submits(root, "d").mkdir(parents=True)
    found = collected.find(root)
    shown = collected.chosen(found, [])
    rows = collected.table(found, shown).rows
    assert {row[1]: (row[2], row[-1]) for row in rows} == {
        "a": ("laptop", "yes"),
        "a--paper": ("paper", ""),
        "b--paper": ("paper", "yes"),
        "b--smoke--seeds-2-0123abcd": ("smoke", ""),
        "c": ("unknown", ""),
        "c--smoke": ("smoke", "yes"),
        "d": ("unknown", "yes"),
    }
    texts = collected.warnings(root, found, shown)
    assert texts[0].startswith("This report leaves out 3 runs of the table Runs.")
    assert [text.split(" ")[0] for text in texts[1:]] == ["Profile", "The", "The", "e--smoke"]
    assert "The numbers of c--smoke mean nothing" in texts[2]
    assert "(laptop, paper, smoke)" in texts[3]
    assert "make status-e PROFILE=smoke" in texts[4]


def test_parts_of_a_sweep_of_sweeps_are_looked_for_in_its_profile(tmp_path: Path) -> None:
    write(tmp_path, "near_dupls", "2026-01-01")
    write(tmp_path, "top_k--smoke--ks-2-0123abcd", "2026-01-01")
    places.submits(tmp_path, "all--smoke--ks-2-0123abcd").mkdir(parents=True)
    found = collected.find(tmp_path)
    said = {text.split(" ")[0] for text in collected.warnings(tmp_path, found, found)}
    assert "near_dupls--smoke" in said
    assert not any(name.startswith("top_k") for name in said)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a", "2026-01-01")
    places.run_record(tmp_path, "a").write_text('{"sweep": "a"')
    with pytest.raises(TesseraError, match=r"run\.json: not the record of a run .*; collect its sweep again"):
        collected.find(tmp_path)
