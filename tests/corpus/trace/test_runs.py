"""Longest runs, counts and places: equal to what a search of every document, token by token, finds."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.corpus.trace import runs
from lib.corpus.trace.index import Index
from tests.support.suffixes import indexed

IDS = {np.uint16: [0, 1, 65535], np.uint32: [0, 1, 1 << 31]}
DEPTHS = [1, 2, 3, 4, 5, 1024]


class Case(NamedTuple):
    """A chunk's documents, a query of the same few ids, and the index."""

    documents: list[list[int]]
    query: np.ndarray
    index: Index


@st.composite
def cases(draw) -> Case:
    dtype = draw(st.sampled_from([np.uint16, np.uint32]))
    token = st.sampled_from(IDS[dtype])
    piece = draw(st.lists(token, min_size=1, max_size=9))  # copies, whole and cut
    part = st.one_of(st.lists(token, max_size=7), st.sampled_from([piece, piece[1:], piece * 2]))
    documents = draw(st.lists(st.builds(list.__add__, part, part), max_size=6))
    query = np.array(draw(st.builds(list.__add__, part, part)), dtype)
    return Case(documents, query, indexed(documents, dtype, draw(st.sampled_from(DEPTHS))))


def places(documents: list[list[int]], run: list[int]) -> list[int]:
    """Where the run stands inside single documents, by looking everywhere."""
    found, begin = [], 0
    for document in documents:
        last = len(document) - len(run)
        found += [begin + at for at in range(last + 1) if document[at : at + len(run)] == run]
        begin += len(document)
    return found


def brute_longest(documents: list[list[int]], query: list[int]) -> list[int]:
    lengths = [range(len(query) - start, 0, -1) for start in range(len(query))]
    return [
        next((n for n in each if places(documents, query[start : start + n])), 0) for start, each in enumerate(lengths)
    ]


@given(cases(), st.integers(1, 6))
def test_runs_and_their_places_are_those_of_brute_force(case: Case, min_run: int) -> None:
    query = case.query.tolist()
    wanted = [length if length >= min_run else 0 for length in brute_longest(case.documents, query)]
    assert runs.longest(case.index, case.query, min_run).tolist() == wanted
    spans = [(start, start + length) for start, length in enumerate(wanted) if length]
    outer = [one for one in spans if not any(a <= one[0] and one[1] <= b and (a, b) != one for a, b in spans)]
    found = runs.of_query([case.index], case.query, min_run)
    assert [(start, start + length) for start, length in zip(*map(np.ndarray.tolist, found))] == outer
    for start, stop in outer:
        at = places(case.documents, query[start:stop])
        occurrences = runs.occurrences(case.index, case.query[start:stop], 2)
        assert (occurrences.count, occurrences.positions.tolist(), occurrences.exact) == (len(at), at[:2], True)


@given(cases())
def test_every_text_is_counted_whatever_the_table_and_the_depth(case: Case) -> None:
    """Also texts that are no maximal run, or not there at all; by a table of every entry, and of none."""
    query = case.query.tolist()
    for start in range(len(query)):
        run = query[start : start + 4]
        assert runs.occurrences(case.index, case.query[start : start + 4], 9).count == len(places(case.documents, run))


def test_a_long_array_is_narrowed_by_its_table() -> None:
    """More entries than one of the table stands for: searches begin and end between entries of the table."""
    draws = np.random.default_rng(1)
    documents = [draws.choice([0, 1, 2, 65535], 300, p=[0.7, 0.1, 0.1, 0.1]).tolist() for _ in range(40)]
    made = indexed(documents, np.uint16, 6)
    assert len(made.keys) > 40
    for _ in range(60):
        run = draws.choice([0, 1, 2, 3, 65535], draws.integers(1, 9)).tolist()
        assert runs.occurrences(made, np.array(run), 1 << 20).positions.tolist() == places(documents, run)


def test_runs_over_several_chunks_are_the_longest_of_all() -> None:
    indices = [indexed([[1, 2, 3, 9]], np.uint16, 8), indexed([[2, 3, 4, 5], [7]], np.uint32, 8)]
    found = runs.of_query(indices, np.array([1, 2, 3, 4, 5, 6, 7]), 2)
    assert list(zip(*map(np.ndarray.tolist, found))) == [(0, 3), (1, 4)]
    assert runs.of_query([], np.array([1, 2]), 1).start.tolist() == []


def test_a_count_of_very_many_is_an_upper_bound_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_COUNTED", 8)
    monkeypatch.setattr(runs, "AT_ONCE", 4)
    made = indexed([[5] * 6, [5] * 6, [7, 8], [7, 8, 7]], np.uint16, 4)
    several, few = (runs.occurrences(made, np.array(run), 3) for run in ([5, 5], [7, 8]))
    assert (several.count, several.exact) == (11, False)  # 10 inside documents, 1 across
    assert (few.count, few.exact) == (2, True)


@pytest.mark.parametrize(("dtype", "wrong"), [(np.uint16, 1 << 16), (np.uint16, -1), (np.uint32, 1 << 32)])
def test_an_id_that_the_corpus_cannot_have_is_named(dtype: type, wrong: int) -> None:
    """It would wrap around to another id."""
    made = indexed([[0, 1, 2]], dtype)
    for search in (lambda query: runs.longest(made, query, 1), lambda query: runs.occurrences(made, query, 1)):
        with pytest.raises(TesseraError, match=f"token 1 of the text has the id {wrong}, but the corpus has"):
            search(np.array([1, wrong]))


def test_an_array_that_is_damaged_gives_no_crash() -> None:
    made = indexed([[1, 2, 3, 1, 2]], np.uint16, 4)
    for wrong in (np.full(5, (1 << 64) - 1, np.uint64), np.full(5, 77, np.uint32)):
        assert runs.occurrences(made._replace(positions=wrong), np.array([1, 2]), 3).positions.tolist() == []
