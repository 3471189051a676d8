"""The near-duplicate scan: the filter, the filter with verification, and the published method in pure Python.

python -m tests.benchmarks.bench_near_duplicates

300 targets of 100 tokens, at least 50 of them distinct, random windows of the text; max_distance 50. Times are CPU
time of one core, the best of REPEATS; kernels are compiled before (numba caches them on disk), and preparing the
targets is not part of the figures. Two texts: the packages' text as it is, and the same with near-duplicates of quiet
targets planted until 1 % of its windows are candidates.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lib.corpus.near import scan
from lib.corpus.near.scan import STEPS, Slab, Targets, prepare
from tests.benchmarks.corpus import tokens as corpus_tokens
from tests.support.brute_near_duplicates import sliding_counters
from tests.support.ranks import ENVIRONMENT, ROOT

N_TARGETS, LENGTH, MAX_DISTANCE, MIN_UNIQUE, POOL = 300, 100, 50, 50, 3000
N_TOKENS, ORACLE_TOKENS, REPEATS, SHARE = 4_000_000, 2_000, 5, 0.01
Text = tuple[np.ndarray, np.ndarray]  # tokens, offsets


def best(run: Callable[[], object]) -> float:
    """CPU seconds of the fastest of REPEATS runs."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def random_targets(text: Text, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` windows inside documents with enough distinct tokens."""
    tokens, offsets = text
    found: list[np.ndarray] = []
    while len(found) < n:
        start = int(rng.integers(len(tokens) - LENGTH))
        window = tokens[start : start + LENGTH]
        inside = np.searchsorted(offsets, start, "right") == np.searchsorted(offsets, start + LENGTH, "left")
        if inside and len(np.unique(window)) >= MIN_UNIQUE:
            found.append(window)
    return np.array(found)


def candidates(text: Text, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """(position, target) of all candidates: the filter alone."""
    tokens, offsets = text
    dense = scan._dense(tokens, targets)
    windows = scan._window_starts(offsets, LENGTH, 0, len(tokens))
    found = [part for slab in targets.slabs for part in filtered(dense, *windows, slab)]
    return np.concatenate([p for p, _ in found]), np.concatenate([t for _, t in found])


def filtered(dense: np.ndarray, firsts: np.ndarray, stops: np.ndarray, slab: Slab) -> Iterator[tuple]:
    """Candidates for the targets of one slab, buffer by buffer."""
    capacity = 2 * STEPS * slab.n_targets
    positions, numbers = np.empty(capacity, np.int64), np.empty(capacity, np.uint16)
    lookup, document, firsts = slab.lookup.copy(), 0, firsts.copy()
    while document < len(firsts):
        document, position, n = scan._candidates(
            dense, firsts, stops, document, LENGTH, slab, lookup, positions, numbers
        )
        yield positions[:n].copy(), numbers[:n].astype(np.int64) + slab.first_target
        if document < len(firsts):
            firsts[document] = position


def planted(text: Text, rng: np.random.Generator) -> tuple[Text, np.ndarray]:
    """The text with near-duplicates until SHARE of its windows are candidates, and their targets: those of a pool
    with the fewest candidates before."""
    tokens, offsets = text[0].copy(), text[1]
    pool = random_targets(text, POOL, rng)
    counts = np.bincount(candidates(text, prepare(pool, MAX_DISTANCE))[1], minlength=len(pool))
    targets = pool[np.argsort(counts, kind="stable")[:N_TARGETS]]
    ready = prepare(targets, MAX_DISTANCE)
    while (missing := SHARE - share((tokens, offsets), ready)) > 0:
        for _ in range(max(1, int(missing * len(tokens) / LENGTH))):
            plant(tokens, offsets, targets[rng.integers(N_TARGETS)], rng)
    return (tokens, offsets), targets


def plant(tokens: np.ndarray, offsets: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> None:
    """Write the target with up to 30 tokens replaced over some place inside a document."""
    start = int(rng.integers(len(tokens) - LENGTH))
    if np.searchsorted(offsets, start, "right") == np.searchsorted(offsets, start + LENGTH, "left"):
        copy = target.copy()
        changed = rng.choice(LENGTH, rng.integers(31), replace=False)
        copy[changed] = rng.choice(tokens, len(changed))
        tokens[start : start + LENGTH] = copy


def share(text: Text, targets: Targets) -> float:
    """Windows that are candidates for some target, of all tokens."""
    return len(np.unique(candidates(text, targets)[0])) / len(text[0])


def measure(name: str, text: Text, tokens: np.ndarray) -> float:
    """Print nanoseconds a token of one text; returns those of the filter."""
    targets, n_tokens = prepare(tokens, MAX_DISTANCE), len(text[0])
    positions, _ = candidates(text, targets)
    found = scan.scan(*text, targets, 0, n_tokens)
    filter_ns = best(lambda: candidates(text, targets)) / n_tokens * 1e9
    all_ns = best(lambda: scan.scan(*text, targets, 0, n_tokens)) / n_tokens * 1e9
    print(
        f"{name}: {n_tokens / 1e6:.1f} M tokens, {len(np.unique(positions)) / n_tokens:.2%} of windows candidates "
        f"({len(positions) / n_tokens:.3f} pairs a token), hits {', '.join(f'{len(v)} {k}' for k, v in found.items())}"
    )
    ratio = all_ns / filter_ns
    print(
        f"  filter {filter_ns:.1f} ns a token and core; with verification {all_ns:.1f} ({ratio:.2f} times the filter)"
    )
    return filter_ns


def oracle_ns(text: Text, targets: np.ndarray) -> float:
    """Nanoseconds a token of the published method, on the start of the longest document, after comparing results."""
    tokens, offsets = text
    longest = int(np.argmax(np.diff(offsets)))
    piece = tokens[offsets[longest] : offsets[longest + 1]][:ORACLE_TOKENS]
    begin = time.process_time()
    wanted = set(sliding_counters(piece.tolist(), targets.tolist(), MAX_DISTANCE))
    seconds = time.process_time() - begin
    got = candidates((piece, np.array([0, len(piece)])), prepare(targets, MAX_DISTANCE))
    assert set(zip(*(column.tolist() for column in got))) == wanted
    return seconds / len(piece) * 1e9


def one_share(file: Path) -> None:
    """Under MPI: scan this rank's part of the text three times between barriers; rank 0 prints the best rate."""
    from lib.base import mpi

    comm, data = mpi.world(), np.load(file)
    targets = prepare(data["targets"], MAX_DISTANCE)
    bounds = np.linspace(0, len(data["tokens"]), comm.size + 1).astype(int)
    low, high, seconds = int(bounds[comm.rank]), int(bounds[comm.rank + 1]), []
    text = data["tokens"], data["offsets"]
    scan.scan(*text, targets, low, low + 10_000)
    for _ in range(REPEATS):
        comm.barrier()
        begin = time.perf_counter(), time.process_time()
        scan.scan(*text, targets, low, high)
        used = time.process_time() - begin[1]
        comm.barrier()
        seconds.append((time.perf_counter() - begin[0], comm.allreduce(used) / comm.size))
    if comm.rank == 0:
        wall, used = (min(column) for column in zip(*seconds))
        print("rate", *(len(data["tokens"]) / best_of / comm.size / 1e6 for best_of in (wall, used)))


def rates(file: Path, ranks: int) -> tuple[float, float]:
    """M tokens a second and rank by the clock, and by CPU time."""
    launcher = [str(Path(sys.executable).with_name("mpirun")), "-n", str(ranks)]
    command = [*launcher, sys.executable, "-m", "mpi4py", "-m", "tests.benchmarks.bench_near_duplicates", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=True
    )
    found = re.search(r"rate (\S+) (\S+)", done.stdout)
    assert found, done.stdout
    return float(found[1]), float(found[2])


def main() -> None:
    """Measure and print."""
    rng, (tokens, offsets) = np.random.default_rng(0), corpus_tokens(N_TOKENS)
    text = tokens, offsets.astype(np.int64)
    targets = random_targets(text, N_TARGETS, rng)
    measure("packages as they are", text, targets)
    quiet, planted_targets = planted(text, rng)
    filter_ns = measure("planted near-duplicates", quiet, planted_targets)
    published = oracle_ns(quiet, planted_targets)
    ratio = published / filter_ns
    print(f"published method, pure Python: {published / 1e3:.0f} us a token and core, {ratio:,.0f} times the filter")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text.npz"
        np.savez(file, tokens=quiet[0], offsets=quiet[1], targets=planted_targets)
        (wall, used), (wall_2, used_2) = rates(file, 1), rates(file, 2)
    print(f"1 rank {wall:.1f} M tokens/s, 2 ranks {wall_2:.1f} each: efficiency {wall_2 / wall:.0%} by the clock,")
    print(f"  {used_2 / used:.0%} by CPU time; with verification, on the planted text")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one_share(Path(sys.argv[1]))
    else:
        main()
