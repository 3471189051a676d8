"""Suffix arrays for tests: texts that are hard to sort, the order by sorted(), and an array sorted in one go."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from lib.corpus.chunks import Chunk
from lib.corpus.suffixes.opened import SuffixArray
from lib.corpus.suffixes.ranges import position_dtype
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys
from lib.corpus.trace import index

DEPTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 1024]
DTYPES = [np.uint16, np.uint32]


def by_brute_force(listed: list[int], depth: int) -> list[int]:
    """All positions in the order of the `depth` tokens that start there, equal ones by position."""
    return sorted(range(len(listed)), key=lambda i: (listed[i : i + depth], i))


def suffix_array(tokens: np.ndarray, depth: int) -> np.ndarray:
    """The same by the kernels, the whole text in memory."""
    text = as_text(tokens)
    positions = np.arange(len(tokens), dtype=position_dtype(len(tokens)))
    sort_suffixes(text, positions, suffix_keys(text, positions, depth), depth)
    return positions


def indexed(documents: Sequence[Sequence[int]], dtype: type = np.uint16, depth: int = 1024) -> index.Index:
    """Documents as a chunk in memory that can be searched."""
    tokens = np.array(list(itertools.chain.from_iterable(documents)), dtype)
    chunk = Chunk(Path("chunk"), tokens, np.cumsum([0, *map(len, documents)]), int(np.iinfo(dtype).max), None)
    return index.make(chunk, SuffixArray(Path("array"), suffix_array(tokens, depth), depth, None))


@st.composite
def texts(draw) -> np.ndarray:
    """Tiny alphabets that hold the lowest and highest ids, runs and repeats."""
    dtype = draw(st.sampled_from(DTYPES))
    highest = int(np.iinfo(dtype).max)
    piece = st.lists(st.sampled_from([0, 1, highest]), max_size=12)
    pieces = draw(st.lists(st.tuples(piece, st.integers(1, 6)), max_size=5))
    return np.array([token for piece, times in pieces for token in piece * times], dtype)
