"""What goes of a corpus: against loops over every window, and what must hold of any corpus."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.corpus.cleaning import ranges
from lib.corpus.cleaning.ranges import AGAINST, DOCUMENT, EXACT, NEAR, Cuts, Marks

Corpus = list[list[list[int]]]  # chunks of documents of tokens


@st.composite
def corpora(draw) -> Corpus:
    """Chunks of documents that share pieces, repeat themselves, or are empty."""
    piece = st.lists(st.integers(0, 2), max_size=7)
    shared = draw(st.lists(piece, min_size=1, max_size=3))
    part = st.one_of(piece, st.sampled_from(shared), st.integers(0, 12).map(lambda n: [1] * n))
    document = st.lists(part, max_size=3).map(lambda parts: [token for one in parts for token in one])
    return draw(st.lists(st.lists(document, max_size=4), min_size=1, max_size=3))


def windows(corpus: Corpus, length: int) -> dict[tuple, list[tuple[int, int, int]]]:
    """Every window and where it stands (chunk, document, token), in the order of the corpus."""
    found = defaultdict(list)
    for row, chunk in enumerate(corpus):
        for number, document in enumerate(chunk):
            for at in range(len(document) - length + 1):
                found[tuple(document[at : at + length])].append((row, number, at))
    return found


def offsets(chunk: list[list[int]]) -> np.ndarray:
    return np.cumsum([0, *map(len, chunk)])


def cut(corpus: Corpus, length: int, keep: str, cleaned: int, drop_above: float | None = None) -> list[Cuts]:
    """What the functions give for the groups that a loop finds."""
    groups = [group for group in windows(corpus, length).values() if len(group) > 1]
    members = [member for group in groups for member in group]
    chunk = np.array([row for row, _, _ in members], np.uint16)
    position = np.array([offsets(corpus[row])[document] + at for row, document, at in members], np.int64)
    found = ranges.of_groups(chunk, position, np.cumsum([0, *map(len, groups)]), length, keep, cleaned)
    cuts = []
    for row in range(cleaned):
        marks, here = Marks(offsets(corpus[row])), found.chunk == row
        marks.add(found.start[here], found.size[here], found.copies[here], found.cause[here])
        cuts.append(marks.cuts(drop_above))
    return cuts


def wanted(corpus: Corpus, length: int, keep: str, cleaned: int) -> set[tuple[int, int, int]]:
    """The tokens that go, one by one."""
    gone = set()
    for group in windows(corpus, length).values():
        outside = any(row >= cleaned for row, _, _ in group)
        (first_row, first_document, first), few = group[0], len(group) < 2
        for row, document, at in group:
            same = (row, document) == (first_row, first_document)
            begin = max(at, first + length) if same and not outside and keep == "one" else at
            if row < cleaned and not few and (outside or keep != "all"):
                gone |= {(row, document, token) for token in range(begin, at + length)}
    return gone


def left(corpus: Corpus, cuts: list[Cuts]) -> Corpus:
    """What stays, a document for each piece."""
    return [
        [
            document[low:high]
            for number, document in enumerate(chunk)
            for low, high in ranges.kept(
                found.start[found.document == number], found.stop[found.document == number], len(document)
            )
        ]
        for chunk, found in zip(corpus, cuts)
    ]


@given(corpora(), st.integers(1, 5), st.sampled_from(["one", "none", "all"]), st.integers(0, 1))
def test_the_tokens_that_go_are_those_of_a_loop(corpus: Corpus, length: int, keep: str, other: int) -> None:
    cleaned = max(1, len(corpus) - other)
    cuts = cut(corpus, length, keep, cleaned)
    gone = {
        (row, int(document), token)
        for row, found in enumerate(cuts)
        for document, start, stop in zip(found.document, found.start, found.stop)
        for token in range(start, stop)
    }
    assert gone == wanted(corpus, length, keep, cleaned)
    for found in cuts:  # rising and apart
        same = np.diff(found.document) == 0
        assert (np.diff(found.document) >= 0).all()
        assert (found.start < found.stop).all()
        assert (found.start[1:] > found.stop[:-1])[same].all()


@given(corpora(), st.integers(1, 5), st.integers(0, 1))
def test_of_what_stays_no_window_stands_twice_nor_in_the_other_corpus(corpus: Corpus, length: int, other: int) -> None:
    cleaned = max(1, len(corpus) - other)
    before, there = windows(corpus, length), windows(corpus[cleaned:], length)
    for keep in ("one", "none", "all"):
        after = windows(left(corpus, cut(corpus, length, keep, cleaned)), length)
        assert not after.keys() & there.keys()
        if keep == "one":
            assert all(len(places) == 1 for places in after.values())
        if keep == "none":
            assert all(len(before[window]) == 1 for window in after)


@given(corpora(), st.integers(1, 5))
def test_a_token_goes_only_where_an_earlier_one_stands_for_it(corpus: Corpus, length: int) -> None:
    """Of each token that goes, following the windows that it shares with an earlier place ends at one that stays."""
    groups = windows(corpus, length)
    gone = wanted(corpus, length, "one", len(corpus))
    earlier = {}
    for group in groups.values():
        first_row, first_document, first = group[0]
        for row, document, at in group[1:]:
            for shift in range(length):
                place = (first_row, first_document, first + shift)
                earlier.setdefault((row, document, at + shift), []).append(place)
    stands = {}
    for row, document, token in sorted(gone):
        places = earlier[row, document, token]
        stands[row, document, token] = any(place not in gone or stands.get(place, False) for place in places)
        assert corpus[row][document][token] in {corpus[r][d][t] for r, d, t in places}
    assert all(stands.values())


def test_a_text_that_repeats_itself_keeps_one_window() -> None:
    (found,) = cut([[[7] * 10]], 3, "one", 1)
    assert (found.start.tolist(), found.stop.tolist(), found.copies.tolist()) == ([3], [10], [8])
    (found,) = cut([[[1, 2] * 6]], 4, "one", 1)
    assert (found.start.tolist(), found.stop.tolist()) == ([4], [12])


def test_causes_and_copies_are_those_of_all_windows_in_a_cut() -> None:
    marks = Marks(np.array([0, 6, 6, 12]))
    marks.add(np.array([1, 2, 6]), np.array([2, 3, 2]), np.array([5, 9, 2]), np.array([EXACT, AGAINST, NEAR], np.uint8))
    found = marks.cuts()
    assert found.document.tolist() == [0, 2]
    assert list(zip(found.start.tolist(), found.stop.tolist())) == [(1, 5), (0, 2)]
    assert found.copies.tolist() == [9, 2]
    assert found.cause.tolist() == [EXACT | AGAINST, NEAR]


def test_a_range_that_ends_with_its_document_does_not_join_the_next() -> None:
    marks = Marks(np.array([10, 14, 18]))
    marks.add(np.array([12, 14]), np.array([2, 1]), np.array([2, 2]), np.array([EXACT, EXACT], np.uint8))
    found = marks.cuts()
    assert (found.document.tolist(), found.start.tolist(), found.stop.tolist()) == ([0, 1], [2, 0], [4, 1])


@given(corpora(), st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_a_document_of_which_too_much_goes_goes_whole(corpus: Corpus, length: int, share: float) -> None:
    for row, (found, plain) in enumerate(zip(*(cut(corpus, length, "one", len(corpus), one) for one in (share, None)))):
        for number, document in enumerate(corpus[row]):
            mine, before = found.document == number, plain.document == number
            gone = int((plain.stop - plain.start)[before].sum())
            if gone > share * len(document):
                assert (found.start[mine].tolist(), found.stop[mine].tolist()) == ([0], [len(document)])
                assert found.cause[mine][0] & DOCUMENT
                assert found.copies[mine][0] == plain.copies[before].max()
            else:
                assert found.start[mine].tolist() == plain.start[before].tolist()
                assert found.stop[mine].tolist() == plain.stop[before].tolist()
                assert not (found.cause[mine] & DOCUMENT).any()


def test_nothing_to_cut() -> None:
    for share in (None, 0.5):
        assert [len(column) for column in Marks(np.array([0, 0, 5])).cuts(share)] == [0] * 5
        assert [len(column) for column in Marks(np.array([3])).cuts(share)] == [0] * 5
    assert ranges.kept(np.array([0]), np.array([4]), 4) == []
    assert ranges.kept(np.zeros(0), np.zeros(0), 0) == []
    empty = np.zeros(0, np.int64)
    assert len(ranges.of_groups(empty, empty, np.zeros(1, np.int64), 3, "one", 1).start) == 0


@pytest.mark.parametrize("keep", ["one", "none", "all"])
def test_the_other_corpus_itself_loses_nothing(keep: str) -> None:
    found = ranges.of_groups(np.array([0, 1, 1]), np.array([5, 0, 9]), np.array([0, 3]), 4, keep, 1)
    assert (found.chunk.tolist(), found.start.tolist(), found.cause.tolist()) == ([0], [5], [AGAINST])


@st.composite
def cuts_of(draw, size: int) -> list[list[int]]:
    """Rising ranges of [0, size), apart, none empty."""
    edges = sorted(draw(st.sets(st.integers(0, size), max_size=8)))
    return [list(pair) for pair in zip(edges[::2], edges[1::2])]


@given(st.data(), st.integers(0, 20), st.integers(0, 3))
def test_a_text_that_is_cut_again_has_lost_what_both_took(data, size: int, joint: int) -> None:
    """Against a loop over characters: each keeps the number it had in the first text."""
    first = data.draw(cuts_of(size))
    pieces = [list(range(low, high)) for low, high in ranges.recut((), first, size, joint)[1]]
    left = [number for piece in pieces for number in [*([None] * joint if piece != pieces[0] else []), *piece]]
    second = data.draw(cuts_of(len(left)))
    went = {n for low, high in first for n in range(low, high)}
    went |= {left[n] for low, high in second for n in range(low, high)} - {None}
    lost, stays = ranges.recut(first, second, len(left), joint)
    assert {n for low, high in lost for n in range(low, high)} == went
    assert all(one[1] < other[0] for one, other in itertools.pairwise(lost))
    assert [n for low, high in stays for n in left[low:high]] == [n for n in range(size) if n not in went]
    assert [left[low] for low, _ in stays] == [n for n in range(size) if n not in went and (n == 0 or n - 1 in went)]
