"""Counting by scan: 10,000 queries of 100 tokens in the packages' text, and the same in pure Python.

python -m tests.benchmarks.bench_count

Half of the queries are windows of the text, half do not occur. Times are CPU time of one core, the best of REPEATS;
the kernels are compiled before (numba caches them on disk). Preparing the queries is timed apart. Checking ids and
checksums, which the stage does as it reads, is a row of its own. The pure-Python side looks every window up in a dict,
on a part of the text, and both sides have to agree there.
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lib.base import hdf5
from lib.corpus import chunks
from lib.corpus.counts import scan
from tests.benchmarks.corpus import tokens as corpus_tokens

N_QUERIES, LENGTH, N_TOKENS, PYTHON_TOKENS, REPEATS = 10_000, 100, 8_000_000, 200_000, 7
GOAL = 4.0


def best(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def some_queries(tokens: np.ndarray) -> np.ndarray:
    """Windows of the text, and as many with their tokens shuffled."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, len(tokens) - LENGTH, N_QUERIES // 2)
    present = np.stack([tokens[start : start + LENGTH] for start in starts])
    return np.concatenate([present, rng.permuted(present, axis=1)])


def count_in_python(queries: np.ndarray, tokens: np.ndarray, offsets: np.ndarray) -> list[int]:
    """Every window of every document looked up in a dict."""
    counts = dict.fromkeys((query.tobytes() for query in queries), 0)
    for first, last in itertools.pairwise(offsets.tolist()):
        for start in range(first, last - LENGTH + 1):
            window = tokens[start : start + LENGTH].tobytes()
            if window in counts:
                counts[window] += 1
    return [counts[query.tobytes()] for query in queries]


def check_time(tokens: np.ndarray, offsets: np.ndarray) -> float:
    """CPU seconds for comparing all ids and checksums of a stored chunk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chunk-00.h5"
        with hdf5.create(path) as file:
            for name, array in (("tokens", tokens), ("offsets", offsets), ("checksums", chunks.checksums(tokens))):
                hdf5.write(file, name, array, contiguous=True)
            file.attrs["vocab_size"] = 1 << 16
        chunk = chunks.open_chunk(path)
        return best(lambda: chunks.check(chunk, 0, len(tokens)))


def main() -> None:
    """Print the rows."""
    tokens, offsets = corpus_tokens(N_TOKENS)
    offsets = offsets.astype(np.int64)
    queries = some_queries(tokens)
    index = scan.prepare(queries, tokens.dtype)
    scan.scan(index, tokens, offsets, 0, LENGTH)
    part = offsets[: np.searchsorted(offsets, PYTHON_TOKENS, "right")]
    begin = time.process_time()
    expected = count_in_python(queries, tokens, part)
    python = (time.process_time() - begin) / part[-1]
    if scan.scan(index, tokens[: part[-1]], part).tolist() != expected:
        raise SystemExit("the scan and pure Python disagree")
    scan_seconds = best(lambda: scan.scan(index, tokens, offsets)) / len(tokens)
    checked = check_time(tokens, offsets) / len(tokens)
    prepared = best(lambda: scan.prepare(queries, tokens.dtype)) / N_QUERIES
    print(f"{len(tokens):,} tokens, {len(offsets) - 1:,} documents, {N_QUERIES:,} queries of {LENGTH}")
    print(f"scan               {1e9 * scan_seconds:8.2f} ns per token and core (goal: at most {GOAL:g})")
    print(
        f"pure Python        {1e9 * python:8.0f} ns a token ({part[-1]:,} tokens), "
        f"{python / scan_seconds:,.0f} times the scan"
    )
    print(f"ids and checksums  {1e9 * checked:8.2f} ns per token and core")
    print(f"preparing          {1e6 * prepared:8.2f} us a query")


if __name__ == "__main__":
    main()
