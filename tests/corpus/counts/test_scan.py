"""Counting by scan and by suffix array: equal to brute force, and to each other, on adversarial texts."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.corpus.counts import scan
from tests.support.suffixes import by_brute_force

texts = st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=6)  # tiny alphabet, empty and short documents


def offsets_of(documents: list[list[int]]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(document) for document in documents])]).astype(np.int64)


def brute(documents: list[list[int]], query: list[int], low: int = 0, high: int | None = None) -> int:
    """Occurrences inside documents whose position in the concatenation is in [low, high)."""
    starts = [
        offset + i
        for offset, document in zip(offsets_of(documents), documents)
        for i in range(len(document))
        if document[i : i + len(query)] == query
    ]
    return sum(low <= start and (high is None or start < high) for start in starts)


def suffix_array(tokens: list[int], depth: int) -> np.ndarray:
    return np.array(by_brute_force(tokens, depth), dtype=np.uint32)


@given(texts, st.lists(st.integers(0, 2), min_size=1, max_size=5), st.data())
def test_a_scan_equals_brute_force_on_any_range(documents, query, data) -> None:
    tokens = np.array(list(itertools.chain.from_iterable(documents)), dtype=np.uint16)
    low = data.draw(st.integers(0, len(tokens)))
    high = data.draw(st.integers(low, len(tokens)))
    other = data.draw(st.lists(st.integers(0, 2), min_size=len(query), max_size=len(query)))
    index = scan.prepare(np.array([query, other, query]), np.uint16)
    found = scan.scan(index, tokens, offsets_of(documents), low, high).tolist()
    assert found == [brute(documents, row, low, high) for row in (query, other, query)]


@given(texts, st.lists(st.integers(0, 2), min_size=1, max_size=6), st.integers(1, 8))
def test_a_suffix_array_gives_the_same_counts_at_any_depth(documents, query, depth) -> None:
    joined = list(itertools.chain.from_iterable(documents))
    tokens, positions = np.array(joined, dtype=np.uint16), suffix_array(joined, depth)
    found = scan.search(np.array([query, query[::-1]]), tokens, offsets_of(documents), positions, depth)
    assert found.tolist() == [brute(documents, query), brute(documents, query[::-1])]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_overlapping_occurrences_count(dtype) -> None:
    tokens, offsets = np.zeros(4, dtype), np.array([0, 4])
    assert scan.scan(scan.prepare(np.zeros((1, 2), int), dtype), tokens, offsets).tolist() == [3]
    positions = suffix_array([0] * 4, 8).astype(np.uint64)
    assert scan.search(np.zeros((1, 2), int), tokens, offsets, positions, 8).tolist() == [3]


def test_many_random_queries_with_duplicates_across_piece_and_document_borders(monkeypatch) -> None:
    stream = np.random.default_rng(3)
    tokens = stream.integers(0, 6, 5000).astype(np.uint32) + np.uint32(2**32 - 6)  # ids that need all 32 bits
    tokens[997:1003] = tokens[0:6]
    offsets = np.concatenate([[0, 0], np.sort(stream.integers(0, 5000, 40)), [5000]])
    queries = np.stack([tokens[i : i + 6] for i in stream.integers(0, 4994, 600)] + [tokens[997:1003]] * 2)
    queries[::7] = queries[0]
    inside = [range(a, b - 5) for a, b in itertools.pairwise(offsets)]
    windows = [tokens[i : i + 6].tobytes() for starts in inside for i in starts]
    wanted = [windows.count(query.tobytes()) for query in queries]
    for piece in (1 << 16, 1000, 7):
        monkeypatch.setattr(scan, "PIECE", piece)
        assert scan.scan(scan.prepare(queries, np.uint32), tokens, offsets).tolist() == wanted


def test_hashes_that_collide_are_told_apart_by_their_tokens() -> None:
    """Thue-Morse sequences of 2^11 tokens have the same polynomial hash modulo 2^64, whatever the multiplier."""
    one = np.array([bin(i).count("1") & 1 for i in range(1 << 11)], dtype=np.uint16)
    other = 1 - one
    assert scan._hash(one, 0, 1 << 11) == scan._hash(other, 0, 1 << 11)
    tokens, offsets = np.concatenate([one, one, other]), np.array([0, 1 << 11, 1 << 12, 3 << 11])
    found = scan.scan(scan.prepare(np.stack([one, other]), np.uint16), tokens, offsets)
    assert found.tolist() == [2, 1]


def test_a_query_longer_than_the_text_does_not_occur() -> None:
    tokens, offsets, query = np.zeros(3, np.uint16), np.array([0, 3]), np.zeros((1, 9), int)
    assert scan.scan(scan.prepare(query, np.uint16), tokens, offsets).tolist() == [0]
    assert scan.search(query, tokens, offsets, suffix_array([0] * 3, 4), 4).tolist() == [0]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.zeros(4, int), r"shape \(4,\)"),
        (np.zeros((2, 3)), "float64 of shape"),
        (np.zeros((0, 5), int), "at least one query"),
        (np.zeros((5, 0), int), "at least one query"),
        (np.array([[1, 2], [3, 50]]), "query 1 has the id 50, but vocab_size is 50"),
        (np.array([[1, -2]]), "query 0 has the id -2"),
    ],
)
def test_queries_that_are_none_are_refused(queries, message) -> None:
    with pytest.raises(TesseraError, match=message):
        scan.check_queries(queries, 50)


def test_an_array_of_another_text_is_refused() -> None:
    tokens, offsets, query = np.arange(4, dtype=np.uint16), np.array([0, 4]), np.array([[2]])
    with pytest.raises(TesseraError, match="3 entries does not fit 4 tokens"):
        scan.search(query, tokens, offsets, np.arange(3, dtype=np.uint32), 8)
    with pytest.raises(TesseraError, match="not a position in 4 tokens"):
        scan.search(query, tokens, offsets, np.array([9, 9, 9, 9], np.uint32), 8)


def test_bounds_past_32_bits_do_not_overflow() -> None:
    """A text whose documents are said to begin beyond 2^32: only bounds are arithmetic there, tokens are not read."""
    text, base = np.zeros(5, np.uint16), (1 << 33) + 1
    index = scan.prepare(np.zeros((1, 2), int), np.uint16)
    counts = np.zeros(1, np.int64)
    passed = np.empty(8, np.int64), np.empty(8, np.uint64)
    bounds = np.array([base - (1 << 32), base + 3, base + (1 << 32)]) - base
    scan._scan_piece(index, np.append(text, text[:1]), bounds, passed, counts)
    assert counts.tolist() == [3]  # of the four windows one crosses the border at 3
