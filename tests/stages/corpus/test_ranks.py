"""Every stage on a corpus gives the same bytes on 1, 2, 3 and 7 ranks, here threads, with blocks small enough for all.

That the bytes of one rank are right, by brute force, is in the tests of each stage.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.corpus import (
    cleaned,
    count,
    cuts,
    deduplication,
    duplicate_groups,
    exact_duplicates,
    near_duplicates,
    search_table,
    suffix_array,
    targets,
    tokenize,
    trace,
    windows_left,
)
from lib.base import blocks, places
from lib.corpus import chunks
from lib.corpus.exact import layout, whole_by_ranks
from tests.stages.corpus.test_cleaned import LICENCE, documents, put
from tests.support import threads

LENGTH, SMALL = 6, {"block_tokens": 120}
DRAWN = {"buckets": (4,), "tolerance": 0.9, "n_per_bucket": 3, "n_random": 2, "length": LENGTH, "min_unique_tokens": 2}


def steps(made: Path, corpus: Path, texts: Path, tokenizer: Path) -> dict[str, tuple[Any, dict, dict]]:
    """Stage, configuration and inputs of each step, of which the results of earlier ones lie in `made`."""
    both, one = [made / "tokenize"], made / "tokenize" / places.chunk(0)
    array = {"corpus": one, "suffix_array": made / "suffix_array"}
    drawn = {"corpus": both, "targets": made / "targets"}
    cut = {"corpus": corpus, "tokens": both, "cuts": made / "cuts", "tokenizer": tokenizer}
    traced = {"corpus": [one], "suffix_arrays": [made / "suffix_array"], "texts": texts, "tokenizer": tokenizer}
    left = {"corpus": both, "cleaned": one, "cleaned_groups": made / "exact_duplicates"}
    searched = {"corpus": [one], "queries": made / "targets", "suffix_arrays": [made / "suffix_array"]}
    draw = {**DRAWN, "unfilled": "take", **SMALL}
    return {
        "tokenize": (tokenize, {"chunks": 2}, {"corpus": corpus, "tokenizer": tokenizer}),
        "suffix_array": (suffix_array, {"depth": 64, "range_tokens": 60}, {"corpus": one}),
        "search_table": (search_table, {}, array),
        "exact_duplicates": (exact_duplicates, {"length": LENGTH, "block_entries": 60}, array),
        "duplicate_groups": (duplicate_groups, {"length": LENGTH}, {"corpus": both}),
        "targets": (targets, draw, {"corpus": both, "groups": made / "duplicate_groups"}),
        "targets of one": (targets, draw, {"corpus": both, "groups": made / "exact_duplicates"}),
        "near_duplicates": (near_duplicates, {"length": LENGTH, "max_distance": 2, **SMALL}, drawn),
        "count": (count, SMALL, {"corpus": both, "queries": made / "targets"}),
        "count by search": (count, {"method": "suffix_array", **SMALL}, searched),
        "deduplication": (deduplication, {"block_rows": 3}, {**drawn, "near_duplicates": made / "near_duplicates"}),
        "cuts": (
            cuts, {"length": LENGTH, "segment_tokens": 120}, {"corpus": both, "groups": [made / "duplicate_groups"]}
        ),
        "cleaned": (cleaned, {}, cut),
        "trace": (trace, {"min_run": 4, "window": 10, "block_texts": 1, **SMALL}, traced),
        "windows_left": (windows_left, {"length": LENGTH, **SMALL}, left),
    }  # fmt: skip


@pytest.fixture
def many_blocks(monkeypatch) -> None:
    monkeypatch.setattr(layout, "CELL_TOKENS", 64)
    monkeypatch.setattr(layout, "SHARD_CELLS", 2)
    monkeypatch.setattr(whole_by_ranks, "BLOCK_TOKENS", 64)


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and places.BLOCKS not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_every_stage_gives_the_same_bytes_on_any_number_of_ranks(many_blocks, tiny_tokenizer, tmp_path) -> None:
    corpus, texts = put(tmp_path / "in"), tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in (LICENCE, *documents(0))))
    for ranks in (1, 2, 3, 7):
        for name, (stage, values, inputs) in steps(tmp_path / "1", corpus, texts, tiny_tokenizer).items():
            out = tmp_path / f"{ranks}" / name
            out.mkdir(parents=True)
            blocks.claim(out / places.BLOCKS, "test")
            work = (stage.Config(**values), inputs, out)
            threads.run(lambda stage=stage, work=work: stage.run(*work), ranks)
            assert contents(out), name
            assert contents(out) == contents(tmp_path / "1" / name), f"{name} on {ranks} ranks"
    assert sum(chunk.n_tokens for chunk in chunks.open_chunks([tmp_path / "1" / "tokenize"])) > 7 * 120
