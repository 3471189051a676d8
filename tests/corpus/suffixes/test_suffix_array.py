"""Suffix arrays against sorted(): every order, cut and range."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpi4py import MPI

from lib.corpus.suffixes import exchange as suffixes_exchange
from lib.corpus.suffixes.exchange import Exchange
from lib.corpus.suffixes.ranges import Ranges, choose_splitters, position_dtype, share, suffix_array
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys

DEPTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 1024]
DTYPES = [np.uint16, np.uint32]


def wanted(tokens: np.ndarray, depth: int) -> list[int]:
    listed = tokens.tolist()
    return sorted(range(len(listed)), key=lambda i: (listed[i : i + depth], i))


@st.composite
def texts(draw) -> np.ndarray:
    """Tiny alphabets that hold the lowest and highest ids, runs and repeats."""
    dtype = draw(st.sampled_from(DTYPES))
    highest = int(np.iinfo(dtype).max)
    piece = st.lists(st.sampled_from([0, 1, highest]), max_size=12)
    pieces = draw(st.lists(st.tuples(piece, st.integers(1, 6)), max_size=5))
    return np.array([token for piece, times in pieces for token in piece * times], dtype)


@given(texts(), st.sampled_from(DEPTHS))
def test_equals_brute_force(tokens, depth) -> None:
    assert suffix_array(tokens, depth).tolist() == wanted(tokens, depth)


def sorted_ranges(tokens: np.ndarray, depth: int, range_tokens: int, owners) -> tuple[np.ndarray, list[list[int]]]:
    """Sizes of all ranges, and the sorted suffixes of those that this one rank owns, by `owners(sizes)`."""
    text = as_text(tokens)
    exchange = Exchange(Ranges(text, choose_splitters(text, depth, range_tokens), depth), MPI.COMM_SELF)
    wanted_by = owners(exchange.sizes)
    parts = np.split(exchange.deliver(wanted_by), np.cumsum(exchange.sizes[wanted_by == 0])[:-1])
    for found in parts:
        sort_suffixes(text, found, suffix_keys(text, found, depth), depth)
    return exchange.sizes, [found.tolist() for found in parts]


@given(texts(), st.sampled_from(DEPTHS), st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32))
def test_ranges_sorted_apart_are_pieces_of_the_whole(tokens, depth, range_tokens, block, seed) -> None:
    """Any ranges, as after a run that was stopped; exchanged in blocks of any size."""

    def owners(sizes: np.ndarray) -> np.ndarray:
        return np.random.default_rng(seed).integers(-1, 1, len(sizes))

    with mock.patch.object(suffixes_exchange, "BLOCK_TOKENS", block):
        sizes, parts = sorted_ranges(tokens, depth, range_tokens, owners)
    array, starts = wanted(tokens, depth), np.cumsum(sizes) - sizes
    assert sizes.sum() == len(tokens)
    expected = [array[starts[i] : starts[i] + sizes[i]] for i in np.flatnonzero(owners(sizes) == 0)]
    assert [part for part in parts if part] == [part for part in expected if part]


@given(st.lists(st.integers(0, 100), max_size=300), st.integers(1, 9))
def test_ranks_share_ranges_evenly(listed, ranks) -> None:
    sizes = np.array(listed, np.int64)
    owners = share(sizes, ranks)
    assert ((owners >= 0) & (owners < ranks)).all()
    loads = np.bincount(owners, weights=sizes, minlength=ranks)
    assert loads.max() - loads.min() <= sizes.max(initial=0)


def test_banana() -> None:
    letters = np.frombuffer(b"banana", np.uint8)
    for dtype in DTYPES:
        assert suffix_array(letters.astype(dtype), 1024).tolist() == [5, 3, 1, 0, 4, 2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [7, 64, 1024])
def test_one_long_run_is_ordered_by_its_end_and_by_position(dtype, depth) -> None:
    size = 5000
    got = suffix_array(np.full(size, 3, dtype), depth)
    cut = np.arange(size - 1, size - depth, -1)
    assert got.tolist() == [*cut, *range(size - depth + 1)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_long_runs_of_equal_keys_end_at_the_end_of_the_text(dtype) -> None:
    """Runs beyond what merging sorts, with zeros at the end, which the padding of keys looks like."""
    rng = np.random.default_rng(0)
    for size in (700, 701, 702, 703):
        tokens = np.concatenate([rng.integers(0, 2, size) * (rng.random(size) < 0.01), np.zeros(3)]).astype(dtype)
        for depth in (6, 50, 1024):
            assert suffix_array(tokens, depth).tolist() == wanted(tokens, depth)


def test_one_long_run_is_split_evenly() -> None:
    text = as_text(np.zeros(20_000, np.uint16))
    ranges = Ranges(text, choose_splitters(text, 16, 1000), 16)
    sizes = np.bincount(ranges.of(0, 20_000))
    assert len(sizes) == 20
    assert sizes.sum() == 20_000
    assert sizes.max() < 2000


def test_odd_byte_offsets() -> None:
    tokens = np.random.default_rng(1).integers(0, 3, 300).astype("<u2")
    shifted = np.frombuffer(b"x" + tokens.tobytes(), "<u2", offset=1)
    assert not shifted.flags.aligned
    assert suffix_array(shifted, 1024).tolist() == wanted(tokens, 1024)


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
    assert (positions - np.uint64(size - tail)).tolist() == wanted(ending, 1024)
    splitters = positions[[1000, 2000]].astype(np.int64)
    assert np.bincount(Ranges(text, splitters, 1024).of(size - tail, size)).tolist() == [1000, 1000, 1000]
    drawn = choose_splitters(text, 4, 1 << 30)
    assert len(drawn) == 4
    assert drawn.max() > 1 << 31
