"""Memory of the passes over a corpus: it grows neither with the documents nor with the text.

Mapped pages of files, which the kernel takes back when it needs room, are not a process's own. That the kernel can do
so is what the test under a limit is for.
"""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from jobs.corpus import count, cuts, deduplication, duplicate_groups, near_duplicates, targets
from lib.base import blocks, hdf5, places
from lib.corpus import chunks
from lib.corpus import targets as drawing
from lib.corpus.counts import by_ranks as counts
from lib.corpus.exact import group_shards, groups_file
from tests.support import cgroup
from tests.support.corpora import write_tokens
from tests.support.ranks import run_ranks

FEW, MANY = 1 << 18, 1 << 19  # documents of a token each
TOLERATED = 0.7e6  # a third of what the offsets of the others take
IDS = 1 << 30
AT_ONCE = (  # what is held at once, for a small corpus
    (chunks, "CHECKED_TOKENS", 1 << 16),
    (counts, "CHECKED_AT_ONCE", 1 << 16),
    (drawing, "DOCUMENTS", 1 << 16),
    (drawing, "DRAWN_AT_ONCE", 1 << 12),
    (targets, "FIRST_ROUND", 1 << 10),
    (group_shards, "MEMBERS_AT_ONCE", 1 << 14),
    (groups_file, "GROUPS_AT_ONCE", 1 << 12),
)


def write_corpus(folder: Path, documents: int) -> Path:
    """A chunk of documents of one token; every sixteenth is as the one before it."""
    ids = np.random.default_rng(0).integers(0, IDS, documents, dtype=np.uint32)
    ids[15::16] = ids[14::16]
    return write_tokens(folder / places.chunk(0), ids, np.arange(documents + 1), IDS)


def stages(folder: Path, corpus: Path) -> dict[str, float]:
    """The bytes that the arrays of every stage take at most."""
    groups, drawn, near = (folder / name for name in ("duplicate_groups", "targets", "near_duplicates"))
    calls: tuple[tuple[Any, Any, dict[str, Any]], ...] = (
        (duplicate_groups, duplicate_groups.Config(1, 0.5), {}),
        (targets, targets.Config((2,), 0.0, 5, 1, 1, 5), {"groups": groups}),
        (near_duplicates, near_duplicates.Config(1, 0), {"targets": drawn}),
        (count, count.Config(), {"queries": drawn}),
        (deduplication, deduplication.Config(), {"targets": drawn, "near_duplicates": near}),
        (cuts, cuts.Config(1, segment_tokens=1 << 16, block_members=1 << 14), {"groups": [groups]}),
    )
    added = {}
    for stage, config, inputs in calls:
        name = stage.__name__.rpartition(".")[2]
        blocks.claim(folder / name / places.BLOCKS, "test")
        tracemalloc.start()
        stage.run(config, {"corpus": [corpus], **inputs}, folder / name)
        added[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return added


def test_memory_does_not_grow_with_the_documents(tmp_path, monkeypatch) -> None:
    for module, name, size in AT_ONCE:
        monkeypatch.setattr(module, name, size)
    stages(tmp_path / "tiny", write_corpus(tmp_path / "tiny", 1 << 10))  # everything is imported
    few, many = (stages(tmp_path / f"{size}", write_corpus(tmp_path / f"{size}", size)) for size in (FEW, MANY))
    growth = {name: many[name] - few[name] for name in many if name != "duplicate_groups"}  # it takes what it is given
    assert max(growth.values()) < TOLERATED < 8 * (MANY - FEW), growth


def test_a_stage_runs_where_neither_text_nor_offsets_fit(tmp_path) -> None:
    corpus = write_corpus(tmp_path, 30_000_000)  # 360 MB
    queries = tmp_path / "queries.h5"
    with hdf5.create(queries) as file:
        hdf5.write(file, "tokens", chunks.open_chunk(corpus).tokens[-3:, None].copy())
    with cgroup.limited(256 << 20) as limit:
        ended = run_ranks("count", {"inputs": {"corpus": [corpus], "queries": queries}}, tmp_path / "out", within=limit)
    assert ended.returncode == 0, ended.stderr
    assert hdf5.read(tmp_path / "out" / places.COUNTS, "counts").tolist() == [[1], [2], [2]]
