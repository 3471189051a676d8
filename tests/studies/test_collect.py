"""Collection from artifacts made by hand: every byte that it reads is checked, and what is missing is said."""

import csv
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lib.artifacts import attempts, store
from lib.base import hdf5, places, yamls
from lib.base.errors import Damaged, TesseraError
from lib.base.version import VERSION
from lib.plans import documents, expansion, finished
from lib.plans.plan import Leaf, Plan
from lib.reporting import page
from lib.reporting.excerpts import AROUND
from lib.studies import collect, identity, run_map, texts
from lib.studies.mosaic import collect as mosaic_collect
from lib.studies.mosaic import results, shown

ROWS = 20
FILES = {
    "membership": places.SCORES, "inject": places.INJECTED, "canaries": places.CANARIES, "finetune": places.METRICS,
    "duplicates": places.DUPLICATES,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Plan:
    return expansion.expand(documents.read("near_dupls", "smoke", []), "smoke")


@pytest.fixture
def root(tmp_path: Path, plan: Plan, tiny_tokenizer: Path) -> Path:
    """Every task of the plan done."""
    for number, (digest, task) in enumerate(plan.tasks.items()):
        place = finished.directory(tmp_path, task)
        place.mkdir(parents=True)
        write(place, task.stage, np.random.default_rng(number))
        if task.stage == "tokenizer":
            shutil.copytree(tiny_tokenizer, place, dirs_exist_ok=True)
        attempts.end(place, attempts.begin(place, None), 1.0, None)
        store.write_done(place, digest, task.stage, task.version)
    return tmp_path


def write(place: Path, stage: str, stream: np.random.Generator) -> None:
    (place / "readme.txt").write_text("a second file, which nobody reads")
    if stage not in FILES:
        return
    with hdf5.create(place / FILES[stage]) as file:
        if stage == "membership":
            for side in ("members", "non_members"):
                hdf5.write(file.create_group(side), "loss", stream.normal(size=ROWS))
        elif stage == "inject":
            hdf5.write(file, "effective_copies", np.arange(ROWS))
            hdf5.write(file, "nominal_copies", np.arange(ROWS) + 1)
            hdf5.write_texts(file, "text", ["It was so. <&> And then it was not."] * ROWS)
            hdf5.write(file, "spans", np.tile([[11, 14], [15, 18]], (ROWS, 1, 1)))
            hdf5.write(file, "copy", np.arange(2))
        elif stage == "duplicates":
            hdf5.write_ragged(file, "tokens", stream.integers(0, 50, (2 * ROWS, 8)))
            hdf5.write(file, "canary", np.repeat(np.arange(ROWS), 2))
        elif stage == "canaries":
            hdf5.write(file, "tokens", stream.integers(0, 50, (ROWS, 9)))
        else:
            hdf5.write(file, "evaluation_step", np.arange(3))
            hdf5.write(file, "held_out_loss", np.linspace(5, 4, 3))
            hdf5.write(file, "auc", np.linspace(0.5, 0.6, 3))


def artifact(root: Path, plan: Plan, leaf: Leaf, stage: str) -> Path:
    return finished.directory(root, next(plan.tasks[d] for d in leaf.nodes.values() if plan.tasks[d].stage == stage))


def test_records_are_what_the_artifacts_hold(root, plan) -> None:
    for leaf, record in zip(plan.leaves, mosaic_collect.read_records(root, plan, plan.leaves), strict=True):
        scores = artifact(root, plan, leaf, "membership") / places.SCORES
        for side in ("members", "non_members"):
            np.testing.assert_array_equal(getattr(record, side)["loss"], hdf5.read(scores, f"{side}/loss"))
        assert record.labels == {**leaf.labels, "setting": ""}
        assert (record.effective_copies, record.nominal_copies) == ((ROWS - 1) / 2, (ROWS + 1) / 2)


@pytest.mark.parametrize("stage", ["membership", "inject"])
@pytest.mark.parametrize("where", [0, 0.3, 0.5, 0.9, 1])
def test_a_flipped_byte_anywhere_is_found(root, plan, stage, where) -> None:
    file = artifact(root, plan, plan.leaves[-1], stage) / FILES[stage]
    flip(file, where)
    with pytest.raises(TesseraError, match=rf"{file.name}: not what was written"):
        list(mosaic_collect.read_records(root, plan, plan.leaves))


@pytest.mark.parametrize("stage", ["membership", "inject"])
def test_a_flipped_byte_in_a_file_that_is_not_read_is_found(root, plan, stage) -> None:
    flip(artifact(root, plan, plan.leaves[-1], stage) / "readme.txt", 0.5)
    with pytest.raises(TesseraError, match=r"readme\.txt: not what was written"):
        list(mosaic_collect.read_records(root, plan, plan.leaves))


def flip(file: Path, where: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(("stage", "gone"), [("inject", [1]), ("membership", [0, 1])])
def test_a_setting_without_one_of_its_artifacts_is_missing(root, plan, stage, gone) -> None:
    leaves = [plan.leaves[index] for index in gone]
    for leaf in leaves:
        (artifact(root, plan, leaf, stage) / places.DONE).unlink()
    collect.run(root, plan, Console(quiet=True))
    with open(places.tables(root, plan.run) / "missing.csv", newline="") as file:
        assert [row["task"] for row in csv.DictReader(file)] == [leaf.digest for leaf in leaves]
    report = page.read(places.report_data(root, plan.run))
    assert any(f"{len(gone)} of 3 settings are missing" in text for text in report.warnings)
    assert "Membership inference attacks (loss) scored members" in report.paragraph  # of others there are no scores


def test_a_whole_collection_removes_what_a_partial_one_listed(root, plan) -> None:
    done, listed = artifact(root, plan, plan.leaves[1], "membership") / places.DONE, places.tables(root, plan.run)
    record = done.read_bytes()
    done.unlink()
    collect.run(root, plan, Console(quiet=True))
    assert (listed / places.MISSING).exists()
    done.write_bytes(record)
    collect.run(root, plan, Console(quiet=True))
    assert not (listed / places.MISSING).exists()


def test_settings_without_their_canaries_leave_nothing_to_collect(root, plan) -> None:
    (artifact(root, plan, plan.leaves[0], "canaries") / places.DONE).unlink()
    with pytest.raises(TesseraError, match="nothing to collect"):
        collect.run(root, plan, Console(quiet=True))


def test_a_finetuned_model_that_is_gone_costs_its_training_curve_only(root, plan) -> None:
    (artifact(root, plan, plan.leaves[0], "finetune") / places.METRICS).unlink()
    collect.run(root, plan, Console(quiet=True))
    assert not (places.tables(root, plan.run) / "missing.csv").exists()
    html = places.report(root, plan.run).read_text()
    assert "no training curve for" in html
    assert "It was so. &lt;&amp;&gt;" in html  # a text of the training data


def test_a_canary_and_its_duplicate_are_shown_as_they_stand_in_their_book(root, plan) -> None:
    (excerpt,) = texts.shown(root, plan, lambda: shown.make(root, plan, plan.leaves))
    around = ["".join(text for text, mark in row[0].segments if mark == AROUND) for row in excerpt.rows]
    assert around == ["It was so.  And then it was not.", "It was so. <&>  then it was not."]
    for stage, file in (("duplicates", places.DUPLICATES), ("tokenizer", "tokenizer.json")):
        _compared_and_its_loss_said(root, plan, stage, file)


def _compared_and_its_loss_said(root, plan, stage, file) -> None:
    place = finished.directory(root, next(task for task in plan.tasks.values() if task.stage == stage))
    content, record = (place / file).read_bytes(), (place / places.DONE).read_bytes()
    flip(place / file, 0.5)
    with pytest.raises(Damaged, match=rf"{file}: not what was written"):
        texts.shown(root, plan, lambda: shown.make(root, plan, plan.leaves))
    (place / file).write_bytes(content)
    (place / places.DONE).unlink()
    (said,) = texts.shown(root, plan, lambda: shown.make(root, plan, plan.leaves))
    assert f"cannot be shown: store/{stage}/" in said.caption
    (place / places.DONE).write_bytes(record)


def test_a_sweep_of_sweeps_collects_each_of_them(plan, tmp_path, monkeypatch) -> None:
    collected = []
    monkeypatch.setattr(mosaic_collect, "run", lambda root, part, console: collected.append(part.name))
    union = Plan("both", "smoke", "", "", plan.tasks, plan.leaves * 2, parts=(plan, replace(plan, name="other")))
    collect.run(tmp_path, union, Console(quiet=True))
    assert collected == [plan.name, "other"]


def test_a_sweep_without_anything_finished_does_not_hold_up_the_others(plan, tmp_path, monkeypatch, capsys) -> None:
    collected = []

    def run(root, part, console) -> None:
        if part.name in ("empty", "bare"):
            collect.split(part, set(), ("membership",))
        collected.append(part.name)

    monkeypatch.setattr(mosaic_collect, "run", run)
    empty, bare = replace(plan, name="empty"), replace(plan, name="bare")
    union = Plan("both", "smoke", "", "", plan.tasks, plan.leaves * 2, parts=(empty, plan))
    collect.run(tmp_path, union, Console())
    assert collected == [plan.name]
    assert "empty: nothing to collect" in capsys.readouterr().out
    with pytest.raises(TesseraError, match="both: nothing to collect"):
        collect.run(tmp_path, replace(union, parts=(empty, bare)), Console(quiet=True))


def test_curves_are_those_of_the_plan_whatever_is_done(plan) -> None:
    assert mosaic_collect.planned_curves(plan) == {
        (leaf.labels["model"], ""): max(one.labels["level"] for one in plan.leaves if one.labels["kind"] == "exact")
        for leaf in plan.leaves
    }


def test_the_run_is_said_by_the_page_its_record_and_every_table(root, plan, monkeypatch) -> None:
    monkeypatch.setattr(results, "draw", lambda *arguments: [])  # figures have tests of their own
    read, original = [], attempts.read
    monkeypatch.setattr(attempts, "read", lambda place: read.append(place) or original(place))
    collect.run(root, plan, Console(quiet=True))
    assert len(read) == len(set(read))  # each record once
    page = places.report(root, plan.run).read_text()
    said = json.loads(places.run_record(root, plan.run).read_text())
    assert (said["run"], said["profile"], said["settings"]) == ("near_dupls--smoke", "smoke", [])
    assert (said["models"], said["seeds"], said["canaries"]) == (["gpt_neox_tiny"], [1], [16])
    assert (said["tasks"], said["finished_tasks"], said["task_seconds"]) == (21, 21, 21.0)
    for text in (socket.gethostname(), said["started"][:10], "make sweep-near-dupls PROFILE=smoke", VERSION):
        assert text in page
    for suffix, begin in (("md", ""), ("tex", "% ")):
        lines = (places.tables(root, plan.run) / f"rho.{suffix}").read_text().splitlines()
        assert [f"{begin}{line}" for line in identity.stamp(said)] == [line for line in lines if ": " in line][:8]


def test_when_where_and_by_which_commit_is_said_by_the_page_and_not_by_the_tables(root, plan) -> None:
    """The same results made elsewhere have tables of the same bytes."""
    here = identity.record(plan, identity.records_of(root, plan))
    for file in root.glob("store/*/*/attempts/*.json"):
        record = json.loads(file.read_text())
        elsewhere = {"started": 1.0, "seconds": 300.0, "host": "elsewhere", "commit": "0" * 40}
        file.write_text(json.dumps({**record, **elsewhere}))
    there = identity.record(plan, identity.records_of(root, plan))
    assert identity.stamp(here) == identity.stamp(there)
    differing = {label for label, text in identity.shown(there).items() if text != identity.shown(here)[label]}
    assert differing == {"date", "duration", "machine", "commit"}
    assert identity.shown(there)["date"] == "1970-01-01 00:00 to 1970-01-01 00:05 UTC"
    assert identity.shown(there)["commit"] == "0" * 12


def test_settings_are_spelled_as_they_are_typed(plan) -> None:
    configs = [task.config for task in plan.tasks.values() if task.node == "scores"]
    said = dict(pair.split(": ", 1) for pair in collect.settings(plan)["settings of scores"].split(", "))
    assert said.keys() == {key for config in configs for key, value in config.items() if value not in ("", [], (), {})}
    for key, text in said.items():
        values = [yamls.parse(value) for value in text.split(" | ")]
        assert {repr(value) for value in values} == {repr(config[key]) for config in configs}


def test_settings_say_nothing_of_what_is_empty_or_of_a_source_that_is_not_read() -> None:
    def said(name: str, profile: str, node: str, *settings: str) -> set[str]:
        found = expansion.expand(documents.read(name, profile, list(settings)), profile)
        return {pair.split(": ")[0] for pair in collect.settings(found)[f"settings of {node}"].split(", ")}

    of_hub = {"repo", "revision", "split", "name_column"}
    books = said("near_dupls", "laptop", "books")
    assert books.isdisjoint({*of_hub, "data_files", "fingerprint", "titles"})
    assert books >= {"source", "n_books", "seed"}
    assert said("near_dupls", "paper", "books") >= {*of_hub, "titles"}
    assert said("audit", "laptop", "texts_licences").isdisjoint({"path", "repo", "revision", "split", "data_files"})
    assert said("audit", "paper", "texts_hub", "texts=hub", "data_set=some/texts") >= {"repo", "revision", "split"}


def test_equal_provenance_is_said_once(root, plan) -> None:
    ((where, tasks),) = collect.provenance(plan.leaves, identity.records_of(root, plan)).items()
    assert socket.gethostname() in where
    assert all(leaf.digest in tasks for leaf in plan.leaves)


def test_what_misses_is_listed_whatever_its_labels(root, plan) -> None:
    more = [Leaf({**plan.leaves[2].labels, "k": 10}, plan.leaves[2].digest, {})]
    collect.write_missing(root, plan, [plan.leaves[0], *more])
    with open(places.tables(root, plan.run) / "missing.csv", newline="") as file:
        assert [row["k"] for row in csv.DictReader(file)] == ["", "10"]


def test_the_bag_of_words_is_of_each_set_of_canaries_once(plan) -> None:
    leaf = plan.leaves[0]
    task = plan.tasks[leaf.digest]
    other = replace(task, digest="f" * 12, inputs={**task.inputs, "members": "e" * 12})
    added = [Leaf({**leaf.labels, "length": 50}, "f" * 12, {}), Leaf({**leaf.labels, "rate": 1}, leaf.digest, {})]
    found = mosaic_collect._canaries(replace(plan, tasks={**plan.tasks, "f" * 12: other}), [*added, *plan.leaves])
    assert sorted(found.values()) == ["", "length=50"]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("near_dupls", [], {("replace", "")}),
        ("near_dupls", ["strategy=random"], set()),
        ("near_dupls", ["spread=true"], set()),
        ("near_dupls", ["length=50", "replaced=[5]"], set()),
        ("top_k", [], {("replace", f"k={k}") for k in (10, 100, 1000, "random")}),
        ("top_k", ["ks=[20]"], {("replace", "k=random")}),
        ("shuffles", [], {("shuffle", f"ngram={n};method=paper") for n in (2, 5, 10)}),
        ("ablations", [], {("replace", "")}),
        (
            "distances",
            ["ks=[]", "inserted=[]", "short_ngrams=[]", "long_ngrams=[]"],
            {("replace", ""), ("replace", "k=random")},
        ),
        (
            "distances",
            ["replaced=[]", "k_replaced=[]", "inserted=[]", "short_ngrams=[]", "long_ngrams=[]", "bands=[10,50]"],
            {("near_duplicates", "canaries_of=corpus")},
        ),
        (
            "distances",
            [
                "replaced=[]",
                "k_replaced=[]",
                "inserted=[]",
                "short_ngrams=[]",
                "long_ngrams=[]",
                "bands=[20]",
                "band_from.20=1",
            ],
            set(),
        ),
        ("insertions", ["inserted=[1,7]"], {("insert", "inserted_tokens=1"), ("scramble", "inserted_tokens=inf")}),
    ],
)
def test_published_curves_stand_beside_what_was_made_alike(name, settings, expected) -> None:
    plan = expansion.expand(documents.read(name, "laptop", settings), "laptop")
    leaves = [leaf for leaf in plan.leaves if plan.tasks[leaf.digest].stage == "membership"]
    found = mosaic_collect.published_curves(plan, [leaf for leaf in leaves if leaf.labels["model"] == "gpt_neox_1M"])
    assert {key[1:] for key in found} == expected
    assert {reference.label for reference in found.values()} <= {"published, gptneo1B"}


def test_the_map_of_the_run_adds_up_the_attempts(root, plan) -> None:
    header, rows = run_map.make(plan, identity.records_of(root, plan))
    task = next(task for task in plan.tasks.values() if task.stage == "membership")
    place = finished.directory(root, task)
    attempts.end(place, attempts.begin(place, None), 20.0, None)
    again = run_map.make(plan, identity.records_of(root, plan))[1]
    assert [row[0] for row in rows] == list(dict.fromkeys(task.stage for task in plan.tasks.values()))
    for row, later in zip(rows, again, strict=True):
        count = sum(task.stage == row[0] for task in plan.tasks.values())
        more = 20 if row[0] == "membership" else 0
        assert [float(cell.replace(",", "")) for cell in row[2:5]] == [count, count, count]
        assert float(later[header.index("all together, s")]) == count + more
        assert float(later[header.index("longest, s")]) == 1 + more
    assert "finetune" in dict(zip((row[0] for row in rows), (row[1].split(", ") for row in rows)))["membership"]
