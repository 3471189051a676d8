"""Windows and spans against sets of tokens, counted one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.audit import windows
from lib.audit.windows import Cut

CUTS = st.builds(Cut, st.integers(1, 12), st.integers(1, 12), st.integers(1, 15))


@given(st.integers(0, 120), CUTS)
def test_windows_lie_in_the_text_a_stride_apart_and_one_ends_with_it(n_tokens: int, cut: Cut) -> None:
    found = windows.starts(n_tokens, cut).tolist()
    assert bool(found) == (n_tokens >= cut.length)
    fits = [place for place in range(n_tokens) if place + cut.length <= n_tokens]
    assert found == [place for place in fits if place % cut.stride == 0 or place == fits[-1]]


@given(st.integers(0, 120), CUTS)
def test_up_to_a_stride_of_a_suffix_every_token_behind_the_prompt_is_in_one(n_tokens: int, cut: Cut) -> None:
    starts = windows.starts(n_tokens, cut)
    inside = {start + cut.prompt_tokens + token for start in starts.tolist() for token in range(cut.suffix_tokens)}
    if cut.stride <= cut.suffix_tokens and len(starts):
        assert inside == set(range(cut.prompt_tokens, n_tokens))
    found = windows.spans(starts, np.ones(len(starts), dtype=bool), cut)
    assert windows.covered(found) == len(inside)


@given(st.integers(20, 120), CUTS, st.data())
def test_spans_are_the_runs_of_covered_tokens(n_tokens: int, cut: Cut, data: st.DataObject) -> None:
    starts = windows.starts(n_tokens, cut)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(starts), max_size=len(starts))), dtype=bool)
    marked = np.zeros(n_tokens + 1, dtype=int)
    for start in starts[chosen].tolist():
        marked[start + cut.prompt_tokens : start + cut.length] = 1
    steps = np.diff(np.append(0, marked))
    runs = list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist()))
    found = windows.spans(starts, chosen, cut)
    assert [tuple(span) for span in found.tolist()] == runs
    assert windows.covered(found) == marked.sum()
    best = max((end - begin for begin, end in runs), default=0)
    begin, end = windows.longest(found)
    assert end - begin == best
    assert not runs or (begin, end) == next(run for run in runs if run[1] - run[0] == best)


@given(st.lists(st.integers(0, 60), max_size=6), CUTS)
def test_windows_of_several_texts_are_those_of_each(lengths: list[int], cut: Cut) -> None:
    text, start = windows.of_texts(lengths, cut)
    for number, length in enumerate(lengths):
        np.testing.assert_array_equal(start[text == number], windows.starts(length, cut))
    assert len(text) == len(start)
    assert (np.diff(text) >= 0).all()


def test_lengths_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="stride is 0"):
        Cut(1, 1, 0)


@given(st.lists(st.integers(0, 2), max_size=12))
def test_windows_that_are_read_together_are_all_of_them_and_share_a_prompt_or_hardly_any_does(prompts) -> None:
    found = windows.read_together([np.array([prompt, 7]) for prompt in prompts])
    assert [row for rows in found for row in range(len(prompts))[rows]] == list(range(len(prompts)))
    changes = sum(one != other for one, other in itertools.pairwise(prompts))
    if len(found) > 1:
        assert all(len(set(prompts[rows])) == 1 for rows in found)
        assert len(found) == changes + 1 <= len(prompts) / 2
