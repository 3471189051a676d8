"""The worked example of lib/README.md: another kind of fuzzy duplicate, one file, one list and one sweep.

The example is read off the README, written into a copy of the project, and run there by its commands. Everything else
follows: injection, the exact curve that other sweeps have made, names in figures.
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
from lib.tokens.tokenization import decode, encode

FILES = ("lib/perturbations/drop.py", "lib/perturbations/kinds.py", "sweeps/drops.yaml")
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
    """A copy of the project with the example in it."""
    copy = tmp_path_factory.mktemp("project")
    for part in ("jobs", "lib", "sweeps", "env"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", copy)
    drop, names, sweep = (_example(name) for name in FILES)
    (copy / FILES[0]).write_text(drop)
    kinds = copy / FILES[1]
    text, count = re.subn(r"^NAMES = .*\n", names, kinds.read_text(), flags=re.MULTILINE)
    assert count == 1
    kinds.write_text(text)
    (copy / FILES[2]).write_text(sweep)
    return copy


def _example(name: str) -> str:
    """The block of the README that begins with a comment naming this file, without that line."""
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", (ROOT / "lib" / "README.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(f"# {name}\n")]
    return found.split("\n", 1)[1]


def _run(project: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _digests(plan: str, kind: str, leaves: dict) -> set[str]:
    return {digest for labels, digest, _ in leaves[plan] if labels["kind"] == kind}


def test_the_sweep_expands_and_shares_the_exact_curve(project: Path) -> None:
    found = json.loads(_run(project, "-c", PLANS))
    leaves, tasks = found["leaves"], found["tasks"]
    assert _digests("drops", "exact", leaves) == _digests("near_dupls", "exact", leaves) != set()
    drops = [nodes["duplicates_drop"] for labels, _, nodes in leaves["drops"] if labels["kind"] == "drop"]
    assert [tasks[digest][1]["dropped_tokens"] for digest in drops] == [1, 5]
    assert [tasks[digest][0] for digest in drops] == ["kdrop-l1-s1", "kdrop-l5-s1"]


def test_duplicates_that_were_made_before_stay_valid(project: Path) -> None:
    here = json.loads(
        _run(ROOT, "-c", PLANS.replace(', "drops")', ",)").replace('plans["drops"]', 'plans["near_dupls"]'))
    )
    there = json.loads(_run(project, "-c", PLANS))
    assert here["leaves"]["near_dupls"] == there["leaves"]["near_dupls"]


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
