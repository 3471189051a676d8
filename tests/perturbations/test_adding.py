"""The worked examples of lib/README.md: another kind of fuzzy duplicate (a file, a list, a sweep), another attack.

The examples are read off the README, typed into a copy of the project, and run there by its commands. Everything else
follows: injection, the exact curve that other sweeps have made, names in figures. The tests of the project itself hold
there as well.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lib.base import hdf5
from lib.base.places import ROOT
from lib.models import loading
from lib.plans import documents, expansion
from lib.tokens.tokenization import decode, encode

FILES = ("lib/perturbations/drop.py", "lib/perturbations/kinds.py", "sweeps/drops.yaml")
ATTACK = "lib/attacks/median_loss.py"
OF_ALL = (  # tests that go through all attacks and all kinds
    "tests/attacks/test_scores.py", "tests/reporting/test_citations.py", "tests/studies/mosaic/test_words.py",
)  # fmt: skip
MADE = ("duplicates_replace", "injected", "finetuned")  # nodes whose results do not depend on attacks
TEXTS = ("the quick brown fox jumps over a lazy dog", "others forget what they have read once in a book")
PLANS = """
import json
from lib.plans.documents import read
from lib.plans.expansion import expand

plans = {name: expand(read(name, "smoke", []), "smoke") for name in ("near_dupls", "drops")}
leaves = {name: [[leaf.labels, leaf.digest, leaf.nodes] for leaf in plan.leaves] for name, plan in plans.items()}
tasks = {digest: [task.label, task.config] for digest, task in plans["drops"].tasks.items()}
print(json.dumps({"leaves": leaves, "tasks": tasks}))
"""
WORDS = """
from lib.studies.mosaic.words import duplicate_of, kind_name, symbol_of

print([symbol_of("drop"), kind_name("drop"), duplicate_of("drop")])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with both examples in it."""
    copy = tmp_path_factory.mktemp("project")
    for part in ("jobs", "lib", "sweeps", "env", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("launch.py", "CITATION.cff", ".pytest.ini", ".ruff.toml"):
        shutil.copy(ROOT / file, copy)
    drop, names, sweep = (_example(name) for name in FILES)
    (copy / FILES[0]).write_text(drop)
    _type(copy / FILES[1], r"^NAMES = .*\n", names)
    (copy / FILES[2]).write_text(sweep)
    (copy / ATTACK).write_text(_example(ATTACK))
    _type(copy / "lib/attacks/scores.py", r"(^NAMES = \((\n    .*)*)", r'\1\n    "median_loss",')
    _type(
        copy / "sweeps/published/references.bib", r"(@software\{tessera,(\n  .*)*keywords = \{\w+)", r"\1, median_loss"
    )
    _type(copy / "jobs/mosaic/membership.py", r"^VERSION = \d+", "VERSION = 99")
    return copy


def _type(file: Path, what: str, instead: str) -> None:
    text, count = re.subn(what, instead, file.read_text(), flags=re.MULTILINE)
    assert count == 1, file
    file.write_text(text)


def _example(name: str) -> str:
    """The block of the README that begins with a comment naming this file, without that line."""
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", (ROOT / "lib" / "README.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(f"# {name}\n")]
    return found.split("\n", 1)[1]


def _run(project: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _digests(plan: str, kind: str, leaves: dict) -> set[str]:
    return {digest for labels, digest, _ in leaves[plan] if labels["kind"] == kind}


@pytest.fixture(scope="module")
def planned(project: Path) -> dict:
    return json.loads(_run(project, "-c", PLANS))


def test_the_sweep_expands_and_shares_the_exact_curve(planned: dict) -> None:
    leaves, tasks = planned["leaves"], planned["tasks"]
    assert _digests("drops", "exact", leaves) == _digests("near_dupls", "exact", leaves) != set()
    drops = [nodes["duplicates_drop"] for labels, _, nodes in leaves["drops"] if labels["kind"] == "drop"]
    assert [tasks[digest][1]["dropped_tokens"] for digest in drops] == [1, 5]
    assert [tasks[digest][0] for digest in drops] == ["kdrop-l1-s1", "kdrop-l5-s1"]


def test_duplicates_that_were_made_before_stay_valid(planned: dict) -> None:
    here = expansion.expand(documents.read("near_dupls", "smoke", []), "smoke")
    there = [[nodes[name] for name in MADE if name in nodes] for _, _, nodes in planned["leaves"]["near_dupls"]]
    assert [[leaf.nodes[name] for name in MADE if name in leaf.nodes] for leaf in here.leaves] == there
    assert sum(map(len, there)) > len(there)  # the scores alone are made again, since the attack raised their version


def test_a_level_beyond_the_length_is_found_when_a_sweep_is_planned(project: Path) -> None:
    command = ("launch.py", "plan", "drops", "--profile=smoke", "--cluster=local", "--set=length=5")
    done = subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "dropped_tokens is 5; it must be below the 5 tokens of a canary" in done.stdout + done.stderr


def test_the_tests_that_go_through_all_attacks_and_kinds_hold_with_both(project: Path) -> None:
    assert "100%" in _run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OF_ALL)
    typed = [*FILES[:2], ATTACK, "lib/attacks/scores.py", "jobs/mosaic/membership.py"]
    _run(project, "-m", "ruff", "check", *typed)
    _run(project, "-m", "ruff", "format", "--check", *typed)


def test_it_runs_and_what_it_made_is_injected(project: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    canaries = np.array([encode(tokenizer, text)[:8] for text in TEXTS], dtype="<u4")
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", canaries)
    with hdf5.create(tmp_path / "books.h5") as file:
        hdf5.write_texts(file, "books", ["many small models remember text about rivers and machines"] * 2)
    given = {"canaries": tmp_path / "canaries.h5", "target_tokenizer": tiny_tokenizer}
    made = _stage(project, tmp_path, "duplicates", {"kind": "drop", "dropped_tokens": 3, "variations": 2}, given)
    rows = hdf5.read_ragged(made / "duplicates.h5", "tokens")
    for row, ids in enumerate(rows):
        assert len(ids) == 5
        assert is_part(ids.tolist(), canaries[row // 2].tolist())
    given |= {"duplicates": made, "books": tmp_path / "books.h5"}
    texts = hdf5.read_texts(_stage(project, tmp_path, "inject", {"copies": 3}, given) / "injected.h5", "text")
    for row, text in enumerate(texts):
        assert all(decode(tokenizer, ids) in text for ids in rows[2 * row : 2 * row + 2])


def _stage(project: Path, folder: Path, stage: str, config: dict, inputs: dict[str, Path]) -> Path:
    file = folder / f"{stage}.yaml"
    file.write_text(json.dumps({**config, "inputs": inputs}, default=str))
    _run(project, "-m", "jobs", stage, "--config", str(file), "--out", str(folder / stage))
    return folder / stage


def is_part(ids: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in ids)


def test_its_key_is_checked_and_it_goes_by_its_own_name(project: Path) -> None:
    lacking = subprocess.run(
        [sys.executable, "-c", "from jobs.mosaic.duplicates import Config; Config(kind='drop')"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "kind drop needs dropped_tokens" in lacking.stderr
    assert "dropped_tokens: int or null; default null; for drop" in _run(project, "-m", "jobs", "duplicates", "--help")
    assert _run(project, "-c", WORDS).strip() == "['R', 'omission', 'a duplicate that has lost tokens']"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    method: str = 'head'", "method is declared otherwise in shuffle.py"),
        ("    top_k: int = 3", "top_k is declared otherwise in replace.py"),
    ],
)
def test_a_key_that_another_kind_declares_otherwise_is_refused(project: Path, line: str, message: str) -> None:
    file = project / FILES[0]
    before = file.read_text()
    file.write_text(before.replace("    dropped_tokens: int | None", f"{line}\n    dropped_tokens: int | None"))
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "duplicates", "--help"], cwd=project, capture_output=True, text=True, check=False
    )
    file.write_text(before)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
