"""Segments of a corpus, and cuts of chunks of any shape: the same whatever the size of a segment or a batch."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import blocks, hdf5, mpi, places
from lib.corpus import chunks
from lib.corpus.cleaning import by_ranks, cuts_file
from lib.corpus.cleaning.ranges import Marks, Ranges
from tests.support.corpora import write_chunk

lengths = st.lists(st.lists(st.sampled_from([0, 0, 1, 3, 40]), max_size=6), min_size=1, max_size=4)


def corpus_of(folder: Path, documents: list[list[int]]) -> list[chunks.Chunk]:
    """Chunks of documents of these lengths."""
    paths = [folder / places.chunk(row) for row in range(len(documents))]
    return [
        chunks.open_chunk(write_chunk(path, [[1] * n for n in one])) for path, one in zip(paths, documents, strict=True)
    ]


@settings(max_examples=25)
@given(lengths, st.integers(1, 50))
def test_every_document_is_in_one_segment(tmp_path_factory, documents: list[list[int]], size: int) -> None:
    corpus = corpus_of(tmp_path_factory.mktemp("segments"), documents)
    found = by_ranks.segments(corpus, size)
    assert [one.number for one in found] == list(range(len(found)))
    for row, one in enumerate(documents):
        mine = [number for part in found if part.chunk == row for number in range(part.first, part.last)]
        assert mine == list(range(len(one)))
    for part in found:
        inside = documents[part.chunk][part.first : part.last]
        assert sum(inside) < 2 * size or sum(n > 0 for n in inside) == 1 or sum(inside[:-1]) < size


@settings(max_examples=10)
@given(lengths, st.data())
def test_the_cuts_of_every_chunk_are_those_of_all_its_ranges(tmp_path_factory, documents, data) -> None:
    folder = tmp_path_factory.mktemp("cuts")
    corpus = corpus_of(folder, documents)
    rows = []
    for row, chunk in enumerate(corpus):
        for low, high in zip(chunk.offsets[:-1].tolist(), chunk.offsets[1:].tolist()):
            for start in data.draw(st.lists(st.integers(low, high - 1), max_size=3)) if high > low else ():
                rows.append((row, start, data.draw(st.integers(1, high - start)), 2 + start % 3, 1 + start % 2))
    columns = [np.array(column, np.int64) for column in zip(*rows)] or [np.zeros(0, np.int64)] * 5
    everything = Ranges(*columns[:4], columns[4].astype(np.uint8))
    half = len(rows) // 2
    parts = [[Ranges(*(c[:half] for c in everything)), Ranges(*(c[half:] for c in everything))], []]
    sources = {f"part-{number}": lambda some=some: iter(some) for number, some in enumerate(parts)}
    blocks.claim(folder / places.BLOCKS, "test")
    by_ranks.find(folder, corpus, sources, None, data.draw(st.integers(1, 60)), mpi.world())
    for row, chunk in enumerate(corpus):
        marks, here = Marks(np.asarray(chunk.offsets)), everything.chunk == row
        marks.add(*(column[here] for column in everything[1:]))
        found = cuts_file.of_documents(folder / places.cuts(row), 0, len(documents[row]))
        for ours, wanted in zip(found, marks.cuts()):
            assert ours.tolist() == wanted.tolist()
        for low in range(len(documents[row])):
            part = cuts_file.of_documents(folder / places.cuts(row), low, low + 1)
            assert set(part.document.tolist()) <= {low}
        assert hdf5.attributes(folder / places.cuts(row))["n_tokens"] == chunk.n_tokens
