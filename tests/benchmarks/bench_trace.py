"""Tracing texts in an indexed corpus: longest runs, counts and near-duplicates, a text at a time.

python -m tests.benchmarks.bench_trace

Half of the texts are windows of the corpus with some tokens replaced, half such windows with their tokens shuffled.
Times are CPU time of one core, the best of REPEATS, with the corpus in memory; a cold disk adds its reads, whose number
the table makes small. Beside them: counting by a binary search without the table, and near-duplicates by a scan of the
whole chunk. Both sides have to agree.
"""

from pathlib import Path

import numpy as np

from lib.corpus.chunks import Chunk
from lib.corpus.counts import scan as counting
from lib.corpus.near import scan
from lib.corpus.near.non_overlapping import choose
from lib.corpus.suffixes.opened import SuffixArray
from lib.corpus.trace import index, near, runs
from lib.corpus.trace.index import Index
from tests.benchmarks.bench_count import best
from tests.benchmarks.corpus import tokens as corpus_tokens
from tests.support.suffixes import suffix_array

N_TEXTS, LENGTH, REPLACED, RUN, N_TOKENS, REPEATS, DEPTH = 200, 100, 5, 10, 8_000_000, 3, 1024
EDITS = (2, 5, 10)


def some_texts(tokens: np.ndarray) -> np.ndarray:
    """Windows with REPLACED tokens replaced, and as many with their tokens shuffled."""
    draws = np.random.default_rng(0)
    starts = draws.integers(0, len(tokens) - LENGTH, N_TEXTS // 2)
    present = np.stack([tokens[start : start + LENGTH] for start in starts])
    changed = present.copy()
    for row in changed:
        row[draws.choice(LENGTH, REPLACED, replace=False)] = draws.integers(0, 50_000, REPLACED)
    return np.concatenate([changed, draws.permuted(present, axis=1)])


def scanned(made: Index, tokens: np.ndarray, text: np.ndarray, edits: int) -> list[int]:
    """The positions of the near-duplicates of a text by a scan of the whole chunk."""
    hits = scan.scan(tokens, made.offsets, scan.prepare(text[None], edits), 0, len(tokens))["levenshtein"]
    return scan.keep(hits, lambda positions, distances: choose(positions, distances, LENGTH)).position.tolist()


def print_near(made: Index, tokens: np.ndarray, texts: np.ndarray, edits: int) -> None:
    """A row: by seeds where that pays, and by a scan of all."""
    some = texts[:: N_TEXTS // 10]
    found = best(lambda: [near.find(made, tokens, text[None], edits) for text in texts], REPEATS) / N_TEXTS
    seeded = sum(near.seeded(made, text[None], edits) is not None for text in texts)
    beside = best(lambda: [scanned(made, tokens, text, edits) for text in some], 1) / len(some)
    if any(
        scanned(made, tokens, text, edits) != near.find(made, tokens, text[None], edits).position.tolist()
        for text in some
    ):
        raise SystemExit("seeds and scan disagree")
    print(
        f"near, {edits:2} edits     {1e3 * found:8.2f} ms a text ({seeded} of {N_TEXTS} by seeds); "
        f"{1e3 * beside:.1f} by a scan"
    )


def main() -> None:
    """Print the rows."""
    tokens, offsets = corpus_tokens(N_TOKENS)
    positions = suffix_array(tokens, DEPTH)
    chunk = Chunk(Path("chunk"), tokens, offsets.astype(np.int64), 1 << 16, None)
    array = SuffixArray(Path("array"), positions, DEPTH, None)
    made, texts = index.make(chunk, array), some_texts(tokens)
    table = best(lambda: index.table(chunk, array), REPEATS) / len(tokens)
    longest = best(lambda: [runs.of_query([made], text, RUN) for text in texts], REPEATS) / N_TEXTS
    heads = texts[:, :RUN]
    counted = best(lambda: [runs.occurrences(made, head, 3) for head in heads], REPEATS) / N_TEXTS
    plain = best(lambda: counting.search(heads, tokens, chunk.offsets, positions, DEPTH), REPEATS) / N_TEXTS
    expected = counting.search(heads, tokens, chunk.offsets, positions, DEPTH).tolist()
    if [runs.occurrences(made, head, 3).count for head in heads] != expected:
        raise SystemExit("counts disagree")
    print(f"{len(tokens):,} tokens, {len(offsets) - 1:,} documents, {N_TEXTS} texts of {LENGTH} tokens")
    print(f"longest runs       {1e3 * longest:8.3f} ms a text")
    print(f"count, {RUN} tokens   {1e6 * counted:8.1f} us a run; {1e6 * plain:.1f} by search alone, all in one call")
    for edits in EDITS:
        print_near(made, tokens, texts, edits)
    print(f"the table          {1e9 * table:8.3f} ns a token of the chunk")


if __name__ == "__main__":
    main()
