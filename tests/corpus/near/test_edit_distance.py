"""Distances of windows side by side against rapidfuzz."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Hamming, Levenshtein

from lib.corpus.near import edit_distance
from lib.kernels import lanes


def distances(tokens: np.ndarray, pattern: np.ndarray) -> tuple[list[int], list[int]]:
    """Hamming and Levenshtein of the first lanes.WINDOWS windows."""
    length = len(pattern)
    scratch = np.empty(length + lanes.WINDOWS, np.uint64), *np.empty((2, length * lanes.WINDOWS), np.uint64)
    bits, found = np.zeros((300, edit_distance.n_words(length)), np.uint64), np.empty(lanes.WINDOWS, np.uint64)
    edit_distance.set_pattern(bits, pattern)
    edit_distance.levenshtein(tokens, 0, length, bits, *scratch, found)
    edit_distance.clear_pattern(bits, pattern)
    assert not bits.any()
    padded = edit_distance.pad(pattern[None])[0]
    return [edit_distance.hamming(tokens, at, padded, length) for at in range(lanes.WINDOWS)], found.tolist()


@settings(max_examples=150)
@given(st.integers(0, 1 << 32), st.integers(1, 200), st.sampled_from([1, 2, 4, 30, 300]), st.booleans())
def test_equal_rapidfuzz(seed: int, length: int, alphabet: int, related: bool) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, alphabet, length + edit_distance.MARGIN + lanes.WINDOWS).astype(np.uint32)
    pattern = rng.integers(0, alphabet, length).astype(np.uint32)
    if related:
        shifted = np.delete(tokens[: length + 4], rng.choice(length + 4, 4, replace=False))
        pattern = shifted.copy()
    windows = [tokens[at : at + length].tolist() for at in range(lanes.WINDOWS)]
    hamming, levenshtein = distances(tokens, pattern)
    assert hamming == [Hamming.distance(window, pattern.tolist()) for window in windows]
    assert levenshtein == [Levenshtein.distance(window, pattern.tolist()) for window in windows]


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.sampled_from([1, 5, 63, 64, 65, 128, 130]), st.sampled_from([1, 2, 30]))
def test_the_search_gives_the_nearest_piece_that_ends_at_each_token(seed: int, length: int, alphabet: int) -> None:
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, alphabet, length).astype(np.uint32)
    tokens = np.concatenate([rng.integers(0, alphabet, 9), pattern[length // 3 :], rng.integers(0, alphabet, 9)])
    tokens = tokens.astype(np.uint32)
    bits = np.zeros((30, edit_distance.n_words(length)), np.uint64)
    edit_distance.set_pattern(bits, pattern)
    steps, least = np.empty(len(tokens), np.uint8), np.empty(len(tokens), np.int64)
    start = 2
    edit_distance.search(tokens, start, len(tokens), length, bits, steps, least)
    for end in rng.integers(start, len(tokens), 5).tolist():
        pieces = (tokens[begin : end + 1].tolist() for begin in range(start, end + 2))
        assert least[end - start] == min(Levenshtein.distance(piece, pattern.tolist()) for piece in pieces)


def test_kitten_and_sitting_side_by_side() -> None:
    tokens = np.frombuffer(b"sitting" + bytes(40), np.uint8).astype(np.uint32)
    assert distances(tokens, np.frombuffer(b"kittens", np.uint8).astype(np.uint32))[1][0] == 3
