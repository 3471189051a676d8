"""What planning says of a corpus that is too small, against what the stage then finds."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lib.launcher import foreseen, printing
from lib.plans import documents, expansion
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
            "5 of 36 tokens each (suffix included) are asked for, but 1 files of 360 bytes give 1 at most",
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
    assert "files of" in "".join(foreseen.texts(planned(tmp_path, "n_prompts=500")))
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
