"""Ranges of suffixes: even, shared evenly, and right beyond 32 bits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.corpus.suffixes.ranges import Ranges, choose_splitters, position_dtype, share
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys
from tests.support.suffixes import by_brute_force


@given(st.lists(st.integers(0, 100), max_size=300), st.integers(1, 9))
def test_ranks_share_ranges_evenly(listed, ranks) -> None:
    sizes = np.array(listed, np.int64)
    owners = share(sizes, ranks)
    assert ((owners >= 0) & (owners < ranks)).all()
    loads = np.bincount(owners, weights=sizes, minlength=ranks)
    assert loads.max() - loads.min() <= sizes.max(initial=0)


def test_one_long_run_is_split_evenly() -> None:
    text = as_text(np.zeros(20_000, np.uint16))
    ranges = Ranges(text, choose_splitters(text, 16, 1000), 16)
    sizes = np.bincount(ranges.find(0, 20_000))
    assert len(sizes) == 20
    assert sizes.sum() == 20_000
    assert sizes.max() < 2000


def test_positions_are_64_bits_where_they_must_be() -> None:
    assert position_dtype(1 << 32) == np.uint32
    assert position_dtype((1 << 32) + 1) == np.uint64


def test_positions_beyond_32_bits(tmp_path) -> None:
    """A sparse file of 2^32 + 2^20 tokens, zeros but for the end: only the suffixes in its last part are sorted."""
    size, tail = (1 << 32) + (1 << 20), 3000
    with open(tmp_path / "tokens", "wb") as file:
        file.truncate(2 * size)
        file.seek(2 * (size - tail))
        ending = np.random.default_rng(2).integers(1, 3, tail).astype("<u2")
        file.write(ending.tobytes())
    text = as_text(np.memmap(tmp_path / "tokens", "<u2", "r"))
    positions = np.arange(size - tail, size, dtype=position_dtype(size))
    keys = suffix_keys(text, positions, 1024)
    sort_suffixes(text, positions, keys, 1024)
    assert (positions - np.uint64(size - tail)).tolist() == by_brute_force(ending.tolist(), 1024)
    splitters = positions[[1000, 2000]].astype(np.int64)
    assert np.bincount(Ranges(text, splitters, 1024).find(size - tail, size)).tolist() == [1000, 1000, 1000]
    drawn = choose_splitters(text, 4, 1 << 30)
    assert len(drawn) == 4
    assert drawn.max() > 1 << 31
