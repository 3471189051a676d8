"""The corpus of a run: which run is taken, what of it is searched, and what is said where there is none."""

import json
import shutil
from pathlib import Path

import pytest

from lib.base import hdf5, places
from lib.base.errors import Damaged, TesseraError, UsageError
from lib.plans.finished import directory
from lib.studies.mosaic import demo
from lib.studies.trace import indexed
from tests.studies.trace.conftest import SENTENCES, Run, make


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(finished.root, tmp_path / "outputs")), finished.plan)


def folders(run: Run, stage: str) -> list[Path]:
    return [directory(run.root, task) for task in run.plan.tasks.values() if task.stage == stage]


def test_the_newest_run_or_the_one_that_is_named(copied: Run, tiny_tokenizer: Path) -> None:
    for asked in ("", "slimpajama", copied.plan.run):
        assert indexed.open_run(copied.root, asked).run == copied.plan.run
    bare = places.run_record(copied.root, "slimpajama--smoke")
    bare.parent.mkdir()
    record = {"run": "slimpajama--smoke", "sweep": "slimpajama", "profile": "smoke", "settings": ["seed=7"]}
    bare.write_text(json.dumps({**record, "ended": "2026-01-09T00:00:00+00:00"}))
    for folder in folders(copied, "suffix_array")[:1]:
        shutil.rmtree(folder)
    assert indexed.open_run(copied.root).without == 1
    newer = json.loads(places.run_record(copied.root, copied.plan.run).read_bytes())
    newer |= {"run": "slimpajama--newer", "ended": "2026-01-03T00:00:00+00:00"}
    places.run_record(copied.root, "slimpajama--newer").parent.mkdir()
    places.run_record(copied.root, "slimpajama--newer").write_text(json.dumps(newer))
    assert [one["run"] for one in indexed._records(copied.root, "")][1:] == ["slimpajama--newer", copied.plan.run]
    with pytest.raises(UsageError, match=r"no finished run or sweep 'slimpajam'.*did you mean 'slimpajama'"):
        indexed.open_run(copied.root, "slimpajam")


def test_runs_of_every_other_kind_stand_beside_it(copied: Run, tmp_path: Path) -> None:
    """The demo has no tasks, so its record does not say when the last one ended."""
    demo.run(copied.root)
    assert indexed.open_run(copied.root).run == copied.plan.run


def test_all_chunks_with_a_suffix_array_are_searched_with_or_without_a_table(copied: Run) -> None:
    found = indexed.open_run(copied.root)
    assert (len(found.chunks), found.without) == (len(SENTENCES), 0)
    for folder in folders(copied, "search_table"):
        shutil.rmtree(folder)
    assert all(
        (one.keys == other.keys).all() for one, other in zip(indexed.open_run(copied.root).indices, found.indices)
    )
    shutil.rmtree(folders(copied, "suffix_array")[1])
    found = indexed.open_run(copied.root)
    assert (len(found.chunks), found.without) == (1, 1)


def test_what_is_missing_is_said_with_what_to_type(copied: Run, tmp_path: Path) -> None:
    with pytest.raises(
        TesseraError, match=r"no run of slimpajama is finished; type `make sweep-slimpajama SET=indexed="
    ):
        indexed.open_run(tmp_path / "nothing")
    for folder in folders(copied, "suffix_array"):
        shutil.rmtree(folder)
    with pytest.raises(TesseraError, match=r'type `make sweep-slimpajama PROFILE=smoke SET="indexed=\[0,1\]"`'):
        indexed.open_run(copied.root)


def test_a_run_without_a_corpus_is_refused(tmp_path: Path) -> None:
    file = places.run_record(tmp_path, "near_dupls--smoke")
    file.parent.mkdir(parents=True)
    record = {"run": "near_dupls--smoke", "sweep": "near_dupls", "profile": "smoke", "settings": [], "ended": None}
    file.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="near_dupls--smoke: this run has no corpus of tokens"):
        indexed.open_run(tmp_path, "near-dupls")
    file.write_text("{")
    with pytest.raises(TesseraError, match=r"run\.json: not the record of a run"):
        indexed.open_run(tmp_path)


def test_a_damaged_outline_is_found_before_anything_is_searched(copied: Run) -> None:
    (file,) = folders(copied, "tokenize")[0].glob(places.CHUNKS)
    with hdf5.opened(file) as opened:
        place = opened["offsets"].id.get_offset() or opened["offsets"].id.get_chunk_info(0).byte_offset
    data = bytearray(file.read_bytes())
    data[place + 8] ^= 1
    file.write_bytes(data)
    with pytest.raises(Damaged):
        indexed.open_run(copied.root)


def test_settings_of_the_run_are_those_of_its_record(tmp_path: Path, tiny_tokenizer: Path) -> None:
    run = make(tmp_path, tiny_tokenizer, ["indexed=[1]"], "2026-01-01T00:00:00+00:00")
    found = indexed.open_run(run.root)
    assert [chunk.path.name for chunk in found.chunks] == ["chunk-01.h5"]
    assert found.without == 1
