"""Heat maps of an audit whose windows are made up: colours by hand, texts in full, no more tokens than a page holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.reporting import heat_maps
from lib.studies.audit import heat
from tests.studies.audit.test_audit_tables import WORDS, audited

HIT = {0: {0, 1, 5}, 3: {4}}  # text -> starts of windows with p_z = 1/2; all others have 1e-6


def test_a_token_has_the_colour_of_its_likeliest_window_and_texts_are_whole() -> None:
    one = audited("mine", 8, HIT)
    (made,) = heat.make([one])
    assert [text.label.partition(":")[0] for text in made.texts] == ["t0", "t3", "t1", "t2", "t4", "t5", "t6"]
    runs = made.texts[0].parts[0].runs
    assert "".join(text for text, _ in runs) == one.texts.text[0]
    # 2 tokens of the prompt, then suffixes at 2-3, 3-4 and 7-8 with p_z = 1/2 among others with 1e-6
    assert [(len(text.split()), classes) for text, classes in runs] == [
        (2, ""), (3, "a6 x"), (2, "a3"), (2, "a6 x"), (3, "a3"),
    ]  # fmt: skip
    assert "5 extracted, largest p_z 0.5" in made.texts[0].parts[0].label
    assert made.texts[2].label == "t1: 12 tokens, 0 % extracted, largest p_z 1e-06"


def test_another_view_has_the_probability_of_each_token() -> None:
    one = audited("mine", 2, {})
    p = np.array([np.nan, np.nan, 1e-5, 5e-4, 5e-3, 0.05, 0.2, 0.7, 0.95, 1, 0.95, 1])
    one.of_tokens["log_probs"] = [np.log(p), np.full(3, np.nan)]
    (view, steps) = heat.views(one)[1]
    assert steps[0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6, 6]
    assert (view.steps[0], view.steps[-1]) == ("below 0.0001", "0.9 and above")


def test_a_page_has_the_parts_with_the_largest_p_z_and_says_what_it_leaves_out(monkeypatch) -> None:
    monkeypatch.setattr(heat, "PART", 4)
    monkeypatch.setattr(heat, "MOST", WORDS + 4)
    one = audited("mine", 8, HIT)
    (made,) = heat.make([one])
    assert [len(text.parts) for text in made.texts] == [3, 1]
    assert made.texts[1].parts[0].label.startswith("tokens 5 to 8")  # the suffix that is extracted is 7 and 8
    assert "Here are 16 of 87 tokens: 2 texts" in made.caption


@settings(max_examples=40)
@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 100))
def test_what_small_collections_leave_goes_to_others(sizes: list[int], most: int) -> None:
    given_ = heat.shares(sizes, most)
    assert all(share <= size for share, size in zip(given_, sizes))
    assert sum(given_) <= most
    cut = [share for share, size in zip(given_, sizes) if share < size]
    assert not cut or (max(given_) - min(cut) <= 1 and sum(given_) == most)


def test_the_size_of_a_page_is_bounded_by_its_tokens() -> None:
    """Every token another colour is the worst there is: a page of MOST tokens then stays below 12 MB."""
    part = 1000
    steps = np.stack([np.arange(part) % 7, np.arange(part) % 5])
    runs = heat_maps.runs(lambda begin, end: " word" * (end - begin), steps, np.ones(part, dtype=bool))
    html = heat_maps.html(heat_maps.Part("", runs))
    assert len(html) / part * heat.MOST < 12e6
