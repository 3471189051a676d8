"""Groups of exact duplicates: by hash, and by suffix array, on the same tokens.

python -m tests.benchmarks.bench_duplicate_groups

CPU time (user and system) of one core, the best of REPEATS, with reading, checking and writing; kernels are compiled
before. Both sides must find the same groups.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from jobs.corpus import duplicate_groups, exact_duplicates, suffix_array
from lib.base import blocks, hdf5, places
from tests.benchmarks.corpus import tokens as corpus_tokens
from tests.support.corpora import write_chunk

N_TOKENS, LENGTH, REPEATS, GOAL = 1 << 24, 100, 3, 60.0


def run(stage: Any, config: Any, inputs: dict[str, Path | list[Path]], out: Path) -> float:
    """Run a stage REPEATS times into `out`; the CPU seconds of the fastest."""
    seconds = []
    for number in range(REPEATS):
        folder = out.with_name(f"{out.name}{number or ''}")
        blocks.claim(folder / places.BLOCKS, "bench")
        begin = time.process_time()
        stage.run(config, inputs, folder)
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> None:
    """Print nanoseconds a token of both ways."""
    tokens, offsets = corpus_tokens(N_TOKENS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = np.split(tokens, offsets[1:-1].astype(np.int64))
        chunk = write_chunk(folder / "chunk-00.h5", documents)
        by_hash = run(duplicate_groups, duplicate_groups.Config(LENGTH), {"corpus": [chunk]}, folder / "hash")
        array = run(suffix_array, suffix_array.Config(), {"corpus": chunk}, folder / "array")
        given = {"corpus": chunk, "suffix_array": folder / "array"}
        sorted_way = array + run(exact_duplicates, exact_duplicates.Config(LENGTH), given, folder / "sorted")
        found = [hdf5.attributes(folder / way / places.GROUPS) for way in ("hash", "sorted")]
    assert len({(int(one["n_groups"]), int(one["n_members"])) for one in found}) == 1
    share = int(found[0]["n_members"]) / len(tokens)
    print(f"{len(tokens)} tokens, {share:.0%} of them begin a window that repeats")
    for what, seconds in (("by hash", by_hash), ("by suffix array", sorted_way)):
        print(f"{what}: {seconds / len(tokens) * 1e9:.0f} ns a token and core")
    print(f"goal {GOAL:.0f} ns by hash")


if __name__ == "__main__":
    main()
