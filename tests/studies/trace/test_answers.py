"""What is shown of a text: runs with counts and places, near-duplicates with differences, and the words for them."""

import json
from pathlib import Path

import numpy as np
import pytest

from lib.base.errors import UsageError
from lib.reporting.excerpts import AROUND, CHANGED, LACKING, SHARED
from lib.studies.trace import answers, queries, words
from lib.studies.trace.answers import Settings
from lib.studies.trace.indexed import Indexed

TEXT = "nobody saw a quick brown fox jumps over a lazy dog"
RUN = " quick brown fox jumps over a lazy dog"


def text_of(passage) -> str:
    return "".join(part for part, mark in passage.segments if mark != LACKING)


def test_a_run_is_shown_with_its_count_and_every_place(corpus: Indexed) -> None:
    found = answers.of_text(corpus, TEXT, Settings(min_run=5))
    assert any(mark == SHARED and RUN in part for part, mark in found[0].rows[0][0].segments)
    assert "".join(part for part, _ in found[0].rows[0][0].segments) == TEXT
    run = next(one for one in found if "2 times in the corpus" in one.title)
    places = [passage.label for row in run.rows for passage in row]
    assert [place.split(", token")[0] for place in places] == ["chunk-00, document 0", "chunk-01, document 0"]
    for row in run.rows:
        assert next(part for part, mark in row[0].segments if mark == SHARED) == RUN
        assert all(mark in (SHARED, AROUND) for _, mark in row[0].segments)


def test_only_the_longest_runs_and_first_places_are_shown(corpus: Indexed) -> None:
    found = answers.of_text(corpus, TEXT, Settings(min_run=2, most_runs=1, most_places=1))
    shown = [one for one in found if one.title.startswith("A run")]
    assert [len(one.rows) for one in shown] == [1]


def test_a_near_duplicate_is_shown_with_what_differs(corpus: Indexed) -> None:
    found = answers.of_text(corpus, "the quick brown bee jumps over a lazy dog", Settings(max_edits=6))
    near = next(one for one in found if "near-duplicate" in one.title)
    segments = near.rows[0][0].segments
    assert {mark for _, mark in segments} >= {CHANGED, LACKING}
    assert "fox" in text_of(near.rows[0][0])
    lines = "\n".join(words.lines(found))
    assert "{+" in lines
    assert "[-" in lines
    assert words.LEGEND in lines


def test_a_short_text_and_an_unknown_one_have_answers(corpus: Indexed) -> None:
    assert any("in the corpus" in one.title for one in answers.of_text(corpus, "a", Settings()))
    unknown = answers.of_text(corpus, "(9, 8) = 7654321 (9, 8) = 7654321", Settings())
    assert [one.title for one in unknown] == ["The text"]
    assert "0 runs" in unknown[0].caption


@pytest.mark.parametrize("settings", [{"min_run": 0}, {"window": 0}, {"max_edits": -1}, {"window": 1 << 16}])
def test_settings_out_of_range_are_refused(settings) -> None:
    with pytest.raises(UsageError, match=rf"{next(iter(settings))} is .*; it must be [01] to 65535"):
        Settings(**settings)


def test_an_empty_text_is_refused(corpus: Indexed) -> None:
    with pytest.raises(UsageError, match="the text is empty"):
        answers.of_text(corpus, "", Settings())


def test_many_texts_are_ranked_by_their_longest_run(corpus: Indexed, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("zzz", TEXT, "", "a lazy dog")))
    texts = queries.read(file, corpus.tokenizer)
    rows, said = words.of_many(corpus, texts, Settings(min_run=3))
    assert [row[0] for row in rows] == ["1", "3", "0", "2"]
    assert rows[0][3:6] == ["2", "chunk-00", "0"]
    assert rows[2][2:] == ["0", "0", "", "", ""]
    assert said.startswith("0 of 4 texts have a run of at least 50 tokens")
    file.write_text("")
    with pytest.raises(UsageError, match=r"mine\.jsonl: no text in it"):
        queries.read(file, corpus.tokenizer)


def test_the_share_of_extracted_texts_has_wilsons_interval() -> None:
    said = words.extractable(np.array([50, 49, 120, 0]))
    assert said.startswith("2 of 4 texts have")
    assert "the longest run has 120 tokens; share 50 % [15.0, 85.0] (Wilson, 95 %)" in said
