"""The whole sweep on a small corpus of files of one's own, every stage and the report in this process."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jobs.models import gpt2_tokenizer
from lib.artifacts import execution
from lib.artifacts.stage import load
from lib.base import config, places
from lib.plans import documents, expansion
from lib.plans.finished import directory
from lib.plans.plan import Plan
from lib.studies import collect

LICENCE = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software. "


def put(folder: Path, texts: list[str]) -> Path:
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


def run(root: Path, settings: list[str]) -> Plan:
    """Every task of the sweep, as its command would run it."""
    plan = expansion.expand(documents.read("dedup", "smoke", settings), "smoke")
    for task in plan.tasks.values():
        stage = load(task.stage)
        made = {digest: directory(root, plan.tasks[digest]) for digest in task.needs()}
        given = {
            name: [made[one] for one in found] if isinstance(found, list) else made[found]
            for name, found in task.inputs.items()
        }
        values = config.build(stage.config_class, task.config, task.node)
        assert execution.run(stage, values, given, directory(root, task), None) == 0
    return plan


def test_the_sweep_cleans_a_corpus_of_ones_own(tiny_tokenizer: Path, tmp_path: Path, monkeypatch) -> None:
    """With a small tokenizer: GPT-2's takes a second to be prepared in each of the stages that encode."""
    copy = functools.partial(shutil.copytree, tiny_tokenizer, dirs_exist_ok=True)
    monkeypatch.setattr(gpt2_tokenizer, "run", lambda config, inputs, out: copy(out))
    rng, words = np.random.default_rng(1), LICENCE.split()
    noise = [" ".join(rng.permutation(words * 8)) for _ in range(6)]
    corpus = put(tmp_path / "in", [noise[0] + LICENCE, LICENCE + noise[1], noise[2], noise[3] + noise[2], noise[4]])
    against, benchmark = put(tmp_path / "other", [noise[4]]), put(tmp_path / "benchmark", [noise[3][:400], "short"])
    settings = [f"corpus={corpus}", f"against={against}", f"benchmark={benchmark}", "min_unique_tokens=5"]
    root, console = tmp_path / "out", Console(record=True, width=200)
    plan = run(root, settings)
    collect.run(root, plan, console)
    report = json.loads(places.report_data(root, plan.run).read_text())
    assert report["warnings"] == ["Not sought, because no window of them is long and varied enough: 1 given text."]
    causes = {excerpt["title"] for excerpt in report["excerpts"]}
    assert {"Cut: exact duplicate", "Cut: in the other corpus", "Cut: near a given text"} <= causes
    (task,) = (task for task in plan.tasks.values() if task.node == "cleaned")
    lines = (directory(root, task) / "files/a.jsonl").read_text().splitlines()
    left = [json.loads(line)["text"] for line in lines]
    assert sum(LICENCE[:-1] in text for text in left) == 1
    assert sum(noise[2][10:-10] in text for text in left) == 1
    assert not any(noise[4][:200] in text or noise[3][100:300] in text for text in left)
    said = console.export_text()
    assert "what went" in said
    assert str(directory(root, task) / "files") in said


@pytest.mark.parametrize("profile", ["paper", "laptop", "smoke"])
def test_a_blank_line_stands_at_joints_in_every_profile(profile: str) -> None:
    """No variable of a profile is taken for one of this sweep."""
    plan = expansion.expand(documents.read("dedup", profile, []), profile)
    by_node = {task.node: task for task in plan.tasks.values()}
    for node in ("cleaned_once", "cleaned"):
        assert (by_node[node].config["separator"], by_node[node].config["cut_key"]) == ("\n\n", "cut")
    cuts = by_node["cuts"]
    assert cuts.config["keep"] == "one"
    assert ("near_duplicates" in cuts.inputs) == (profile != "paper")
    assert "against" not in cuts.inputs
