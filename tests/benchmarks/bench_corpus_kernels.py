"""The inner loops of the corpus passes, each with the figure that it must not exceed.

python -m tests.benchmarks.bench_corpus_kernels

Text of installed packages, which is the hard case: blanks make most windows candidates for some target. Times are CPU
time of one core, the best of REPEATS; kernels are compiled before.
"""

import numpy as np

from lib.corpus.exact import groups
from lib.corpus.near import common_ngrams, scan
from lib.corpus.suffixes import sorting
from lib.tokens import encoders, fast_bpe
from tests.benchmarks import corpus
from tests.benchmarks.bench_near_duplicates import LENGTH, MAX_DISTANCE, N_TARGETS, best, candidates, random_targets

N_TOKENS, ROWS = 2_000_000, 20_000
LIMITS = {"verification": 160.0, "common": 1500.0, "neighbours": 72.0, "pieces": 80.0}  # nanoseconds


def show(name: str, what: str, seconds: float, items: int) -> None:
    """A line with the figure and its limit."""
    print(f"{what}: {seconds / items * 1e9:.1f} ns (limit {LIMITS[name]:g})", flush=True)


def near_duplicates(tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The scan with its verification; returns windows that are candidates, with their targets as (2, n, length)."""
    text = tokens, offsets.astype(np.int64)
    chosen = random_targets(text, N_TARGETS, np.random.default_rng(0))
    targets = scan.prepare(chosen, MAX_DISTANCE)
    position, target = candidates(text, targets)
    seconds = best(lambda: scan.scan(*text, targets, 0, len(tokens)))
    pairs = len(position) / len(tokens)
    show("verification", f"near-duplicates, {pairs:.1f} candidates a token, of a token", seconds, len(tokens))
    rows = np.sort(np.random.default_rng(0).choice(len(position), ROWS))
    windows = tokens[position[rows, None] + np.arange(LENGTH)]
    return np.stack([chosen[target[rows]], windows]).astype(np.uint32)


def common(pairs: np.ndarray) -> None:
    """The longest run that a window shares with its target."""
    common_ngrams.longest_common(*pairs[:, :100])
    show("common", "longest common run, of a row", best(lambda: common_ngrams.longest_common(*pairs)), len(pairs[0]))


def neighbours(tokens: np.ndarray) -> None:
    """Equal neighbours of a suffix array."""
    text, positions = sorting.as_text(tokens), np.arange(len(tokens))
    sorting.sort_suffixes(text, positions, sorting.suffix_keys(text, positions, LENGTH), LENGTH)
    groups.same_as_previous(text, positions[:100], LENGTH)
    seconds = best(lambda: groups.same_as_previous(text, positions, LENGTH))
    show("neighbours", "comparing neighbours of a suffix array, of an entry", seconds, len(positions))


def pieces() -> None:
    """Texts to ids, with a table that is empty at first."""
    texts, original = corpus.documents(2 * N_TOKENS), encoders.Original(corpus.tokenizer())

    def encode() -> int:
        encode_all = fast_bpe.build(corpus.tokenizer(), original.encode)
        return sum(len(encode_all(batch).ids) for _, batch in encoders.batches(texts, 1 << 20))

    n_tokens = encode()
    build = best(lambda: fast_bpe.build(corpus.tokenizer(), original.encode))
    show("pieces", "encoding, pieces learnt on the way, of a token", best(encode) - build, n_tokens)


def main() -> None:
    """Measure and print."""
    tokens, offsets = corpus.tokens(N_TOKENS)
    common(near_duplicates(tokens, offsets))
    neighbours(tokens)
    pieces()


if __name__ == "__main__":
    main()
