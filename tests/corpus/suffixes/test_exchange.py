"""Ranges that are exchanged in blocks and sorted apart are pieces of the whole suffix array."""

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from mpi4py import MPI

from lib.corpus.suffixes import exchange
from lib.corpus.suffixes.ranges import Ranges, choose_splitters
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys
from tests.support.suffixes import DEPTHS, by_brute_force, texts


def sorted_ranges(tokens: np.ndarray, depth: int, range_tokens: int, owners) -> tuple[np.ndarray, list[list[int]]]:
    """Sizes of all ranges, and the sorted suffixes of those that this one rank owns, by `owners(sizes)`."""
    text = as_text(tokens)
    suffixes = exchange.Exchange(Ranges(text, choose_splitters(text, depth, range_tokens), depth), MPI.COMM_SELF)
    wanted_by = owners(suffixes.sizes)
    parts = np.split(suffixes.deliver(wanted_by), np.cumsum(suffixes.sizes[wanted_by == 0])[:-1])
    for found in parts:
        sort_suffixes(text, found, suffix_keys(text, found, depth), depth)
    return suffixes.sizes, [found.tolist() for found in parts]


@given(texts(), st.sampled_from(DEPTHS), st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32))
def test_ranges_sorted_apart_are_pieces_of_the_whole(tokens, depth, range_tokens, block, seed) -> None:
    """Any ranges, as after a run that was stopped; exchanged in blocks of any size."""

    def owners(sizes: np.ndarray) -> np.ndarray:
        return np.random.default_rng(seed).integers(-1, 1, len(sizes))

    with mock.patch.object(exchange, "BLOCK_TOKENS", block):
        sizes, parts = sorted_ranges(tokens, depth, range_tokens, owners)
    array, starts = by_brute_force(tokens.tolist(), depth), np.cumsum(sizes) - sizes
    assert sizes.sum() == len(tokens)
    expected = [array[starts[i] : starts[i] + sizes[i]] for i in np.flatnonzero(owners(sizes) == 0)]
    assert [part for part in parts if part] == [part for part in expected if part]
