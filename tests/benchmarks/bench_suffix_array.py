"""Suffix arrays: the stage against infini-gram's index builder and pydivsufsort, on the same tokens.

python -m tests.benchmarks.bench_suffix_array

All sides are judged by CPU time (user and system, of all their processes), so that 1 and 2 ranks, threads and other
users of the machine compare. infini-gram runs the commands that its own indexing.py runs, two parts merged by two
threads; its order is that of bytes, so only times are compared. Ours checks the text, writes the file with checksums
and fsyncs it; kernels are compiled before. Peers that are not installed (`make bench` installs env/bench.txt) are said
to be missing.
"""

import importlib.util
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from lib.base import hdf5
from lib.corpus import chunks
from tests.benchmarks.corpus import tokens as corpus_tokens
from tests.support.ranks import ENVIRONMENT, run_ranks

N_TOKENS, DEPTH, OVERLAP_BYTES = 1 << 24, 1024, 100_000  # the overlap is infini-gram's constant
GOAL, DREAM, EFFICIENCY = 1.5, 3.0, 0.85


def children_seconds() -> float:
    """CPU time of all processes that this one started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def ours(path: Path, out: Path, ranks: int) -> float:
    """CPU seconds of the stage on `ranks` ranks; that of starting Python and MPI is measured apart and taken off."""
    seconds = []
    for corpus in (path, path.with_name("tiny.h5")):
        begin = children_seconds()
        config = {"inputs": {"corpus": corpus}, "depth": DEPTH}
        done = run_ranks("suffix_array", config, out.with_name(f"{out.name}-{corpus.stem}"), ranks)
        if done.returncode:
            raise SystemExit(done.stderr)
        seconds.append(children_seconds() - begin)
    return seconds[0] - seconds[1]


def infini_gram(tokens: np.ndarray, folder: Path) -> float | None:
    """CPU seconds of make-part (two parts), merge and concat; None where it is not installed."""
    spec = importlib.util.find_spec("infini_gram")
    if spec is None or not spec.submodule_search_locations:
        return None
    program = Path(spec.submodule_search_locations[0]) / "rust_indexing"
    data, parts, merged = folder / "tokenized.0", folder / "parts", folder / "merged"
    tokens.tofile(data)
    parts.mkdir()
    merged.mkdir()
    size, half = tokens.nbytes, tokens.nbytes // 4 * 2
    common = ["--data-file", str(data), "--ratio", str(int(np.ceil(np.log2(size) / 8))), "--token-width", "2"]
    both = [*common, "--merged-dir", str(merged), "--num-threads", "2"]
    begin = children_seconds()
    makers = [
        subprocess.Popen(
            [
                program,
                "make-part",
                *common,
                "--parts-dir",
                str(parts),
                "--start-byte",
                str(low),
                "--end-byte",
                str(high),
            ],
            stdout=subprocess.DEVNULL,
        )
        for low, high in ((0, half + OVERLAP_BYTES), (half, size))
    ]
    codes = [maker.wait() for maker in makers]
    if any(codes):
        raise SystemExit("infini-gram: make-part failed")
    for step in (
        ["merge", *both, "--parts-dir", str(parts), "--hacksize", str(OVERLAP_BYTES)],
        ["concat", *both, "--merged-file", str(folder / "table.0")],
    ):
        subprocess.run([program, *step], check=True, stdout=subprocess.DEVNULL)
    return children_seconds() - begin


def divsufsort(tokens: np.ndarray) -> float | None:
    """CPU seconds of pydivsufsort, in memory on one core; None where it is not installed."""
    if importlib.util.find_spec("pydivsufsort") is None:
        return None
    import pydivsufsort

    begin = time.process_time()
    pydivsufsort.divsufsort(tokens)
    return time.process_time() - begin


def write(path: Path, tokens: np.ndarray) -> None:
    """A chunk of one document."""
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", tokens, contiguous=True)
        hdf5.write(file, "offsets", np.array([0, len(tokens)], "<u8"))
        hdf5.write(file, "checksums", chunks.checksums(tokens))
        file.attrs.update(vocab_size=1 << 16, tokenizer="gpt2", n_documents=1, n_tokens=len(tokens))


def main() -> None:
    """Print tokens per second and core of every side, and the ratios that are judged."""
    tokens, _ = corpus_tokens(N_TOKENS)
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "chunk.h5", tokens)
        write(folder / "tiny.h5", tokens[:1000])
        ours(folder / "chunk.h5", folder / "compiled", 1)
        rows = {
            "ours, 1 rank": ours(folder / "chunk.h5", folder / "one", 1),
            "ours, 2 ranks": ours(folder / "chunk.h5", folder / "two", 2),
            "infini-gram, 2 cores": infini_gram(tokens, folder),
            "pydivsufsort, in memory": divsufsort(tokens),
        }
    print(f" suffix array of {len(tokens):,} tokens, depth {DEPTH}, CPU time")
    for label, seconds in rows.items():
        found = "not installed" if seconds is None else f"{len(tokens) / seconds / 1e6:6.2f} million tokens/s and core"
        print(f"  {label:26s} {found}")
    one, two, peer, _ = rows.values()
    print(f"  2 ranks have {one / two:.0%} of 1 rank's speed per core (the aim: at least {EFFICIENCY:.0%})")
    if peer is not None:
        print(f"  {peer / two:.2f} times infini-gram's speed on 2 cores (the aim: at least {GOAL}, better {DREAM})")


if __name__ == "__main__":
    main()
