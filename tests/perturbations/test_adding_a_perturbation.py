"""A worked example: another way to vary canaries, `drop`, which leaves out some tokens.

It takes one function with its two entries in jobs/mosaic/duplicates.py, and a sweep; everything else follows:
injection, fine-tuning, scores, rho by level against the exact curve that other sweeps have made, figures, the report.
"""

import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from jobs.mosaic import inject
from lib.artifacts import stage
from lib.base import hdf5
from lib.models import loading
from lib.plans import documents, expansion
from lib.studies.mosaic import words
from lib.tokens.tokenization import decode, encode

FUNCTION = """
def _drop(config, inputs, tokens, tokenizer):
    def vary(row, number, attempt):
        stream = generator(config.seed, "dropped tokens", row, number, attempt)
        return np.delete(tokens[row], stream.choice(len(tokens[row]), config.dropped_tokens, replace=False)).tolist()

    return vary, ATTEMPTS


"""
EDITS = {  # what stands in jobs/mosaic/duplicates.py -> what the example makes of it
    r"(\n    kind: Literal\[[^\]]*)": r'\1, "drop"',  # a value of `kind`
    r"(\n    tau: float \| None = None)": r"\1\n    dropped_tokens: int | None = None",  # its key: the level
    r"(\nKEYS = \{)": r'\1\n    "drop": ("dropped_tokens",),',  # which keys it takes, the level first
    r"(\nKINDS: [^=]*= \{)": FUNCTION.replace("\\", r"\\") + r'\1\n    "drop": _drop,',  # the function
}
SWEEP = """
name: drops
title: memory of text that has lost tokens
tables: mosaic
include: common/mosaic.yaml
nodes:
  duplicates_drop:
    stage: duplicates
    config: {kind: drop, dropped_tokens: "${level}", variations: "${variations}", seed: "${seed}"}
    inputs: {canaries: members, target_tokenizer: "tokenizer_${model}"}
leaves:
  - node: scores
    grid: {model: "${models}", seed: "${seeds}", kind: exact, level: "${copies}"}
  - node: scores
    grid: {model: "${models}", seed: "${seeds}", kind: drop, level: [1, 5]}
"""
TEXTS = ("the quick brown fox jumps over a lazy dog", "others forget what they have read once in a book")


@pytest.fixture
def duplicates(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """jobs.duplicates with the example in it."""
    source = (documents.FOLDER.parent / "jobs" / "duplicates.py").read_text()
    for found, wanted in EDITS.items():
        source, count = re.subn(found, wanted, source)
        assert count == 1, found
    module = types.ModuleType("jobs.duplicates")
    monkeypatch.setitem(sys.modules, "jobs.duplicates", module)
    exec(compile(source, "jobs/mosaic/duplicates.py", "exec"), module.__dict__)
    return module


def test_the_sweep_expands_and_shares_the_exact_curve(duplicates, tmp_path: Path, monkeypatch) -> None:
    main = expansion.expand(documents.read("near_dupls", "smoke", []), "smoke")
    monkeypatch.setattr(documents, "FOLDER", Path(shutil.copytree(documents.FOLDER, tmp_path / "sweeps")))
    (tmp_path / "sweeps" / "drops.yaml").write_text(SWEEP)
    plan = expansion.expand(documents.read("drops", "smoke", []), "smoke")
    exact = {leaf.digest for leaf in plan.leaves if leaf.labels["kind"] == "exact"}
    assert exact == {leaf.digest for leaf in main.leaves if leaf.labels["kind"] == "exact"}
    drops = [leaf for leaf in plan.leaves if leaf.labels["kind"] == "drop"]
    assert [plan.tasks[leaf.nodes["duplicates_drop"]].config["dropped_tokens"] for leaf in drops] == [1, 5]
    assert [plan.tasks[leaf.nodes["duplicates_drop"]].label for leaf in drops] == ["kdrop-l1-s1", "kdrop-l5-s1"]


def test_it_runs_and_what_it_made_is_injected(duplicates, tiny_tokenizer: Path, tmp_path: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    canaries = np.array([encode(tokenizer, text)[:8] for text in TEXTS], dtype="<u4")
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", canaries)
    with hdf5.create(tmp_path / "books.h5") as file:
        hdf5.write_texts(file, "books", ["many small models remember text about rivers and machines"] * 2)
    inputs = {"canaries": tmp_path / "canaries.h5", "target_tokenizer": tiny_tokenizer}
    config = duplicates.Config(kind="drop", dropped_tokens=3, variations=2)
    duplicates.run(config, inputs, tmp_path)
    rows = hdf5.read_ragged(tmp_path / "duplicates.h5", "tokens")
    for row, ids in enumerate(rows):
        assert len(ids) == 5
        assert is_part(ids.tolist(), canaries[row // 2].tolist())
    given = {**inputs, "duplicates": tmp_path / "duplicates.h5", "books": tmp_path}
    inject.run(inject.Config(copies=3), given, tmp_path)
    for row, text in enumerate(hdf5.read_texts(tmp_path / "injected.h5", "text")):
        assert all(decode(tokenizer, ids) in text for ids in rows[2 * row : 2 * row + 2])


def is_part(ids: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(token in rest for token in ids)


def test_its_key_is_checked_and_it_goes_by_its_own_name(duplicates) -> None:
    with pytest.raises(ValueError, match="kind drop needs dropped_tokens"):
        duplicates.Config(kind="drop")
    assert stage.load("duplicates").module is duplicates
    assert words.level_name("drop") == "drop level"
