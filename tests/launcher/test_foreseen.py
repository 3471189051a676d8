"""What planning says of values that cannot work, and of a corpus that is too small."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lib.base.errors import UsageError
from lib.launcher import foreseen, printing
from lib.plans import documents, expansion, overrides
from lib.plans.plan import Plan

WINDOW = 36  # tokens of the longest prompt and the suffix in the smoke profile


def planned(path: Path, *settings: str) -> Plan:
    document = documents.read("prefix_sizes", "smoke", [f"corpus={path}", *settings])
    return expansion.expand(document, "smoke")


def text_file(path: Path, size: int) -> Path:
    path.write_text("x" * size)
    return path


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ("n_prompts=5",),
            "5 of 36 tokens each (suffix included) are asked for, but 1 file of 360 bytes give 1 at most",
        ),
        (("n_prompts=11", "per_document=50"), "give 10 at most, with 50 a document; the task will fail"),
        (("n_prompts=11", "per_document=50", "enough=10"), "give 10 at most, with 50 a document; tables will say"),
        (("n_prompts=10", "per_document=50"), ""),
        (("n_prompts=0",), ""),
    ],
)
def test_a_text_gives_a_prompt_for_every_window_of_bytes_at_most(tmp_path: Path, settings: tuple, said: str) -> None:
    found = foreseen.texts(planned(text_file(tmp_path / "book.txt", 10 * WINDOW), *settings))
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_lines_are_counted_together_and_compressed_text_is_not_known(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"text": "y" * WINDOW}) for _ in range(3))
    (tmp_path / "docs.jsonl").write_text(lines)
    assert "but 1 file of" in "".join(foreseen.texts(planned(tmp_path, "n_prompts=500")))
    (tmp_path / "more.jsonl.gz").write_bytes(b"whatever it holds")
    assert foreseen.texts(planned(tmp_path, "n_prompts=500")) == []


def test_an_empty_text_is_said_whatever_is_asked_for(tmp_path: Path) -> None:
    (found,) = foreseen.texts(planned(text_file(tmp_path / "short.txt", WINDOW - 1), "n_prompts=0"))
    assert "any of 36 tokens" in found
    assert "will fail" in found


def test_a_plan_prints_it_and_shipped_sweeps_have_nothing_to_say(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=300)
    printing.print_plan(planned(text_file(tmp_path / "book.txt", 50), "n_prompts=9"), None, set(), console)
    assert "the task will fail" in console.file.getvalue()
    for name in ("prefix_sizes", "prefix_subsets"):
        assert foreseen.texts(expansion.expand(documents.read(name, "laptop", []), "laptop")) == []


@pytest.mark.parametrize(
    ("profile", "changes", "idle"),
    [
        ("laptop", "[glued,bf16]", []),
        ("laptop", "[glued,glue]", ["change=glue"]),  # misspelt, so that every variable keeps the profile's own value
        ("paper", "[glued]", ["change=glued"]),  # a profile that binds no change
    ],
)
def test_a_setting_that_changes_nothing_is_said(profile: str, changes: str, idle: list[str]) -> None:
    """Its differences would all be 0, which reads like a result."""
    plan = expansion.expand(documents.read("deviations", profile, [f"changes={changes}"]), profile)
    assert foreseen.texts(plan) == [
        f"deviations: {name} changes nothing in profile {profile}: its results are those of the default"
        for name in idle
    ]


@pytest.mark.parametrize(
    ("sweep", "settings", "said"),
    [
        ("near_dupls", ["copies=[1]"], ["near_dupls: exact copies are 1: without 1 and a larger number there"]),
        ("near_dupls", ["copies=[4,7]"], ["near_dupls: exact copies are 4, 7: without 1 and a larger"]),
        ("near_dupls", ["variations=10"], ["10 variations of a canary are made, and 4 copies take 3 of them"]),
        ("extraction", ["copies=[1]"], []),  # it has no ρ
        ("architectures", [], []),  # it tries rates at one number of copies, of which there is no ρ
    ],
)
def test_what_will_have_no_use_and_no_result_is_said(sweep: str, settings: list[str], said: list[str]) -> None:
    found = foreseen.texts(expansion.expand(documents.read(sweep, "smoke", settings), "smoke"))
    assert [text[: len(start)] for text, start in zip(found, said, strict=True)] == said


TEXTS = {f"{number}.txt": "x" for number in range(3)}  # a corpus of three files
TYPED = [
    ("near_dupls", "replaced=[41]", "replaced_tokens is 41; a canary has 40 tokens (replaced_tokens is set by the var"),
    ("near_dupls", "replaced=[0]", "must be at least 1 (replaced_tokens is set by the variable replaced)"),
    ("near_dupls", "canaries=many", "node members: n is 'many'; it must be int"),
    ("near_dupls", "canaries=", "int (n is set by the variable canaries, to which no value was given)"),
    ("audit", "models=[hub] repo=a/b/c", "owner/name, as the hub has it, and there is no folder a/b/c. A model in"),
    ("near_dupls", "canaries=17", "node injected_exact: there are 16 books for 17 canaries"),
    ("near_dupls", "top_copies=5", "takes 4 variations, but there are 3 (copies is set by the variable top_copies)"),
    ("near_dupls", "length=100000", "sequence_tokens is 128, less than the 100000 tokens of a canary"),
    (
        "near_dupls",
        "context=39",
        "shorter canaries, or longer sequences (sequence_tokens is set by the variable context",
    ),
    ("near_dupls", "models=[gpt2]", "models: no 'gpt2'; known: "),
    ("near_dupls", "models=[gpt_neox_tin]", "models: no 'gpt_neox_tin'; did you mean 'gpt_neox_tiny'?"),
    ("near_dupls", "copies=[-1]", "node injected_exact: copies is -1; it must be at least 0"),
    ("near_dupls", "seeds=[]", "sweep near_dupls: no leaves: the grid is empty, because nothing is in: seeds"),
    ("near_dupls", "seeds=[1,1]", "grid: seeds: a value is given twice"),
    ("top_k", "ks=[0]", "(top_k is set by the variable ks)"),  # through `with` and `grid`
    ("insertions", "ngrams=[40]", "it must be below the 40 tokens of a canary (ngram is set by the variable ngrams)"),
    ("shuffles", "taus=[0.001]", "reach 0.03205 to 0.8974 (the top) (tau is set by the variable taus)"),
    ("shuffles", "paper_taus=[0.123]", "as method paper needs"),
    ("extraction", "prompt_tokens=40", "those in members have 40 tokens"),
    (
        "slimpajama",
        "chunks=3",
        "node tokens: chunks is 3, but the files of the corpus are too few: they can be cut into 2 at most",
    ),
    (
        "slimpajama",
        "corpus={folder} chunks=4",
        "node tokens: chunks is 4, but the files of the corpus are too few: they can be cut into 3 at most",
    ),
    ("slimpajama", "scanned=[2]", "chunk is 2; it must be 0 to 1 (chunk is set by the variable scanned)"),
    ("prefix_sizes", "canaries=5", "this sweep does not use 'canaries'"),
    ("prefix_sizes", "n_prompts=-1", "n_prompts is -1; it must be at least 0"),
]


@pytest.mark.parametrize(("sweep", "settings", "message"), TYPED)
def test_a_value_that_cannot_work_is_refused_by_the_name_that_was_typed(sweep, settings, message, tmp_path) -> None:
    """Before anything runs; the stages refuse the same when they run."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    given = overrides.split(settings.format(folder=tmp_path))
    with pytest.raises(UsageError, match=re.escape(message)):
        expansion.expand(documents.read(sweep, "smoke", given), "smoke")
