"""Plans of replacement: positions, choices, order of application; edit distances against the textbook recursion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import TesseraError
from lib.perturbations.candidates import ReplacementCandidates
from lib.perturbations.replace import Keys, apply, positions, variation

LENGTH = 20
ANYWHERE = np.ones(LENGTH, dtype=bool)


def pool(n_sequences: int = 30, original: int = 4) -> ReplacementCandidates:
    """Single ids 100.. may stand anywhere; the one at `original` spells every token of the canary."""
    sequences = [[100 + index] for index in range(n_sequences)]
    return ReplacementCandidates(sequences, None, np.full((1, LENGTH), original), ANYWHERE[None])


def keys(replaced_tokens: int, variations: int, **others) -> Keys:
    return Keys(replaced_tokens=replaced_tokens, variations=variations, **others)


CANARY = [104] * LENGTH
replaceables = st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH).map(lambda flags: np.array(flags, dtype=bool))


@settings(max_examples=100)
@given(replaceables, st.integers(1, LENGTH), st.integers(0, 99), st.booleans())
def test_positions_are_distinct_replaceable_and_as_many_as_there_can_be(
    replaceable: np.ndarray, replaced: int, seed: int, spread: bool
) -> None:
    found = positions(replaceable, 0, 0, keys(replaced, 1, spread=spread, seed=seed))
    assert sorted(set(found.tolist())) == found.tolist()
    assert replaceable[found].all()
    if spread:
        segments = [range(k * LENGTH // replaced, (k + 1) * LENGTH // replaced) for k in range(replaced)]
        assert [sum(p in s for p in found) for s in segments] == [int(replaceable[list(s)].any()) for s in segments]
    else:
        assert len(found) == min(replaced, replaceable.sum())


@given(st.integers(1, LENGTH - 1), st.integers(0, 99), st.integers(0, 8))
def test_positions_for_r_are_among_those_for_more(replaced: int, seed: int, number: int) -> None:
    few = positions(ANYWHERE, 2, number, keys(replaced, 9, seed=seed))
    many = positions(ANYWHERE, 2, number, keys(replaced + 1, 9, seed=seed))
    assert set(few) < set(many)


def test_positions_anew_or_the_same() -> None:
    def drawn(same: bool) -> set[tuple[int, ...]]:
        plan = keys(5, 9, same_positions=same, seed=1)
        return {tuple(positions(ANYWHERE, 0, number, plan)) for number in range(9)}

    assert len(drawn(same=True)) == 1
    assert len(drawn(same=False)) == 9


def test_canaries_have_positions_of_their_own() -> None:
    plan = keys(5, 9, same_positions=True)
    assert len({tuple(positions(ANYWHERE, canary, 0, plan)) for canary in range(20)}) == 20


@pytest.mark.parametrize("spread", [False, True])
def test_positions_are_uniform(spread: bool) -> None:
    counts = np.zeros(LENGTH)
    for number in range(2000):
        counts[positions(ANYWHERE, 0, number, keys(4, 2000, spread=spread))] += 1
    assert counts.sum() == 8000
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("replaced", [0, LENGTH + 1])
def test_too_many_or_no_positions_are_refused(replaced: int) -> None:
    with pytest.raises(TesseraError, match=f"replaced_tokens is {replaced}; canaries of 20 tokens allow 1 to 20"):
        positions(ANYWHERE, 0, 0, keys(replaced, 1))


@given(st.integers(1, LENGTH), st.integers(0, 99))
def test_the_original_is_never_chosen(replaced: int, seed: int) -> None:
    made = variation(CANARY, 0, 0, pool(n_sequences=6), keys(replaced, 1, seed=seed))
    assert sum(index != 104 for index in made) == replaced


@pytest.mark.parametrize("original", [-1, 0, 3, 5])
def test_choices_are_uniform_over_all_but_the_original(original: int) -> None:
    candidates = pool(n_sequences=6, original=original)
    draws = (np.arange(6000) + 0.5) / 6000
    counts = np.bincount([candidates.choose(0, 0, draw)[0] - 100 for draw in draws], minlength=6)
    assert {int(count) for index, count in enumerate(counts) if index != original} == {1000 if original < 0 else 1200}
    assert original < 0 or counts[original] == 0


def test_choices_of_a_position_are_its_own_options() -> None:
    options = [np.array([2, 3])] * LENGTH
    options[7] = np.array([1])
    candidates = ReplacementCandidates([[9, 9], [8], [7], [6, 6, 6]], options, np.full((1, LENGTH), -1), ANYWHERE[None])
    made = variation(CANARY, 0, 0, candidates, keys(LENGTH, 1))
    rest = [index for index in made if index != 8]
    assert len(made) - len(rest) == 1  # position 7
    assert set(rest) == {7, 6}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=15), st.data())
def test_replacements_of_several_ids_hit_the_positions_they_were_drawn_for(canary: list[int], data) -> None:
    """Applied from left to right, a longer replacement would shift every one behind it."""
    sequences = st.lists(st.integers(10, 99), min_size=1, max_size=4)
    chosen = data.draw(st.dictionaries(st.integers(0, len(canary) - 1), sequences))
    wanted = [index for position, old in enumerate(canary) for index in chosen.get(position, [old])]
    assert apply(canary, chosen) == wanted
