"""The steps of a rehearsal: real stages on a corpus that is mostly holes, and what must come out.

Every step says what it looked at and what memory each rank took. What it finds is known: the text at the ends of a
chunk has no two windows alike, and stands once in every chunk.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.corpus import count, cuts, deduplication, duplicate_groups, near_duplicates, targets
from lib.base import blocks, hdf5, mpi, places
from lib.corpus import chunks
from lib.corpus.cleaning import cuts_file
from lib.corpus.exact import group_shards, groups_file, layout
from lib.corpus.exact.layout import Layout
from lib.corpus.suffixes.ranges import position_dtype
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys
from lib.plans import rates
from lib.plans.resources import Resources
from tests.rehearsal import sparse
from tests.rehearsal.sparse import Size
from tests.support.memory import Peak
from tests.support.suffixes import by_brute_force

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

LENGTH, DEPTH, PLANNED_RANKS = 100, 1024, 80
WANTED = 10  # targets of each kind
BLOCK_TOKENS = 1 << 20
SORTED = 2000  # suffixes at the end of a chunk


@dataclass(frozen=True)
class Rehearsal:
    """Where, of what size, with how much memory for the groups of a rank, and with which of the ranks."""

    folder: Path
    size: Size
    memory_gb: float
    comm: "Intracomm"

    @property
    def corpus(self) -> list[Path]:
        """The files of the chunks."""
        return [self.folder / places.chunk(number) for number in range(self.size.chunks)]

    def run(self, stage: Any, config: Any, name: str, **inputs: Any) -> Path:
        """Run a stage. Returns the folder of its result."""
        out = self.folder / name
        if self.comm.rank == 0:
            blocks.claim(out / places.BLOCKS, "rehearsal")
        self.comm.barrier()
        stage.run(config, {"corpus": self.corpus, **inputs}, out)
        self.comm.barrier()
        return out


def tokenize(of: Rehearsal) -> str:
    """The chunk is put together; both ends of it are what was encoded."""
    sparse.make(of.folder, of.size, of.comm)
    chunk = chunks.open_chunk(of.corpus[-1])
    assert len(chunk.offsets) - 1 == of.size.n_documents
    assert chunk.n_tokens == of.size.n_tokens
    first, last = (sparse.end(of.size, which) for which in (0, 1))
    assert np.array_equal(chunk.tokens[: len(first)], first)
    assert np.array_equal(chunk.tokens[-len(last) :], last)
    return f"{of.size.files + 2:,} blocks of a chunk put together; those in the middle are holes"


def duplicate_groups_(of: Rehearsal) -> str:
    """Four of the shards: every group has one member in each chunk, at the same place."""
    cut = layout.of(of.size.chunks * of.size.n_tokens)
    some = sorted({0, 1, cut.shards - 2, cut.shards - 1} & set(range(cut.shards)))
    folder = of.folder / "groups" / places.BLOCKS
    if of.comm.rank == 0:
        blocks.claim(folder, "rehearsal")
        _other_shards(folder, some, cut)
    of.comm.barrier()
    out = of.run(duplicate_groups, duplicate_groups.Config(LENGTH, of.memory_gb), "groups")
    parts = groups_file.open_parts(out / places.GROUPS, chunks.open_chunks(of.corpus), LENGTH)
    found = sum(_check_groups(block, of.size) for one in some for block in groups_file.each_block(parts[one]))
    windows = 2 * of.size.real * (of.size.length - LENGTH + 1) * len(some) / cut.shards
    assert abs(found - windows) < 6 * windows**0.5 + 1
    return f"{len(some)} of {cut.shards:,} shards, {found} groups of {of.size.chunks} members"


def _other_shards(folder: Path, some: list[int], cut: Layout) -> None:
    """Shards without groups, all links to one."""
    others = [folder / places.group_shard(number) for number in range(cut.shards) if number not in some]
    with blocks.create(folder / "empty.h5") as file:
        shard = group_shards.Shard(file, np.zeros(1, np.uint64))
        for _ in range(cut.cells):
            shard.add(np.zeros(0, np.uint64), np.zeros(0, np.int64))
        shard.end()
    for other in others:
        os.link(folder / "empty.h5", other)
    (folder / "empty.h5").unlink()


def _check_groups(block: groups_file.Block, size: Size) -> int:
    """How many groups are of text. The windows of holes, which lie in the blocks that are read, are one more."""
    members = np.diff(block.group_offsets)
    text = np.repeat(members == size.chunks, members)
    position, chunk = (column[text].reshape(-1, size.chunks) for column in (block.position, block.chunk))
    assert (members != size.chunks).sum() <= 1
    assert (position == position[:, :1]).all()
    assert (chunk == np.arange(size.chunks)).all()
    edge = size.real * size.length
    assert ((position < edge) | (position >= size.n_tokens - edge)).all()
    return len(position)


def targets_(of: Rehearsal) -> str:
    """Targets with as many copies as there are chunks; and random windows of all documents, which stand in holes."""
    config = targets.Config(buckets=(of.size.chunks,), tolerance=0.0, n_per_bucket=WANTED, min_unique_tokens=50)
    out = of.run(targets, config, "targets", groups=of.folder / "groups")
    assert (hdf5.read(out / places.TARGETS, "count") == of.size.chunks).all()
    config = targets.Config(buckets=(), n_random=WANTED, min_unique_tokens=1)
    drawn = of.run(targets, config, "random", groups=of.folder / "groups") / places.TARGETS
    place = hdf5.read(drawn, "position").astype(np.int64)
    assert ((place >= 0) & (place + LENGTH <= of.size.n_tokens)).all()
    documents = of.size.chunks * of.size.n_documents
    return f"{WANTED} targets of {of.size.chunks} copies, and {WANTED} random windows of {documents:,} documents"


def near_duplicates_(of: Rehearsal) -> str:
    """Each target is found where it stands, in every chunk, and nowhere else."""
    config = near_duplicates.Config(LENGTH, 50, BLOCK_TOKENS)
    out = of.run(near_duplicates, config, "near", targets=of.folder / "targets")
    position = hdf5.read(of.folder / "targets" / places.TARGETS, "position")
    for metric in ("hamming", "levenshtein"):
        found = {name: hdf5.read(out / places.NEAR_DUPLICATES, f"{metric}/{name}") for name in deduplication.COLUMNS}
        assert np.array_equal(found["position"], np.repeat(position, of.size.chunks))
        assert not found["distance"].any()
        assert np.array_equal(found["chunk"], np.tile(np.arange(of.size.chunks), WANTED))
    return "blocks at the ends of all chunks"


def count_(of: Rehearsal) -> str:
    """Each target stands once in every chunk."""
    out = of.run(count, count.Config(block_tokens=BLOCK_TOKENS), "counts", queries=of.folder / "targets")
    assert (hdf5.read(out / places.COUNTS, "counts") == 1).all()
    return "blocks at the ends of all chunks"


def deduplication_(of: Rehearsal) -> str:
    """A copy shares all tokens with its target."""
    given = {"targets": of.folder / "targets", "near_duplicates": of.folder / "near"}
    out = of.run(deduplication, deduplication.Config(), "deduplication", **given) / places.DEDUPLICATION
    assert (hdf5.read(out, "hamming/longest_common") == LENGTH).all()
    return f"{WANTED * of.size.chunks} rows of each distance"


def cuts_(of: Rehearsal) -> str:
    """What the groups hold goes from every chunk but the first."""
    config = cuts.Config(LENGTH, "one", segment_tokens=BLOCK_TOKENS)
    out = of.run(cuts, config, "cuts", groups=[of.folder / "groups"])
    cut = [_text_documents(out / places.cuts(row), of.size) for row in range(of.size.chunks)]
    assert not len(cut[0])
    assert len(cut[1])
    assert cut[1].max() >= of.size.n_documents - of.size.real
    assert all(np.array_equal(one, cut[1]) for one in cut[2:])
    return "segments at the ends of all chunks"


def _text_documents(path: Path, size: Size) -> np.ndarray:
    """The documents of text that lose something."""
    last = (size.n_documents - size.real, size.n_documents)
    ends = [cuts_file.of_documents(path, low, high).document for low, high in ((0, size.real), last)]
    return np.concatenate(ends)


def suffix_array_(of: Rehearsal) -> str:
    """The last suffixes of a chunk are sorted as those of its last tokens alone."""
    text = as_text(chunks.open_chunk(of.corpus[-1]).tokens)
    first = of.size.n_tokens - SORTED
    positions = np.arange(first, of.size.n_tokens, dtype=position_dtype(of.size.n_tokens))
    sort_suffixes(text, positions, suffix_keys(text, positions, DEPTH), DEPTH)
    wanted = by_brute_force(sparse.end(of.size, 1)[-SORTED:].tolist(), DEPTH)
    assert (positions - np.uint64(first)).tolist() == wanted
    return f"the last {SORTED:,} suffixes of a chunk, {positions.itemsize} bytes each"


STEPS: dict[str, Callable[[Rehearsal], str]] = {
    "tokenize": tokenize,
    "duplicate_groups": duplicate_groups_,
    "targets": targets_,
    "near_duplicates": near_duplicates_,
    "count": count_,
    "deduplication": deduplication_,
    "cuts": cuts_,
    "suffix_array": suffix_array_,
}


def rehearse(folder: Path, size: Size, memory_gb: float) -> Iterator[str]:
    """Take the steps with all ranks; a line for each."""
    of = Rehearsal(folder, size, memory_gb, mpi.world())
    for name, step in STEPS.items():
        with Peak() as peak:
            seen = step(of)
        most = max(of.comm.allgather(peak.most)) / 1e9
        yield f"{name:<17}{most:>6.2f} GB a rank, {_planned(name, of):<22} {seen}"


def _planned(name: str, of: Rehearsal) -> str:
    """The memory that a plan asks for a rank of this stage."""
    if name == "duplicate_groups":
        return f"{of.memory_gb:g} were given;"
    tokens = of.size.n_tokens * (1 if name in ("tokenize", "suffix_array") else of.size.chunks)
    planned = rates.applied(name, Resources(ranks=PLANNED_RANKS, tokens=tokens)).memory_gb
    return f"the plan has {planned:.2f};" if planned else "the plan has none;"
