"""Distances between two sequences of token ids: 0 for equal ones, larger the more they differ.

Edits are counted in tokens (levenshtein, damerau, indel, token_overlap); the Jaccard distances lie in [0, 1].
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from rapidfuzz.distance import DamerauLevenshtein, Indel, Levenshtein

NGRAMS = (2, 5, 10, 13)  # 13 is the published one
Ids = Sequence[int]


def levenshtein(a: Ids, b: Ids) -> float:
    """The fewest insertions, deletions and substitutions."""
    return float(Levenshtein.distance(a, b))


def damerau(a: Ids, b: Ids) -> float:
    """The same with transpositions of neighbours (unrestricted: what is transposed may be edited again)."""
    return float(DamerauLevenshtein.distance(a, b))


def indel(a: Ids, b: Ids) -> float:
    """The fewest insertions and deletions: len(a) + len(b) - 2 LCS, with LCS the longest common subsequence."""
    return float(Indel.distance(a, b))


def token_overlap(a: Ids, b: Ids) -> float:
    """Tokens of the longer sequence without a counterpart, whatever their order: max(len) - |multiset intersection|.

    It is at most the Levenshtein distance.
    """
    return float(max(len(a), len(b)) - (Counter(a) & Counter(b)).total())


def token_jaccard(a: Ids, b: Ids) -> float:
    """1 - |A and B| / |A or B| of the sets of tokens; NaN when either sequence is empty."""
    return ngram_jaccard(a, b, 1)


def ngram_jaccard(a: Ids, b: Ids, n: int) -> float:
    """1 - |A and B| / |A or B| of the sets of n-grams; NaN (undefined) when either sequence is shorter than n.

    Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}; n-grams must have at least 1 token")
    if min(len(a), len(b)) < n:
        return float("nan")
    mine, others = _ngrams(a, n), _ngrams(b, n)
    return 1 - len(mine & others) / len(mine | others)


def _ngrams(ids: Ids, n: int) -> set[Hashable]:
    return set(zip(*(ids[start:] for start in range(n))))


MEASURES: dict[str, Callable[[Ids, Ids], float]] = {
    "levenshtein": levenshtein,
    "damerau": damerau,
    "indel": indel,
    "token_overlap": token_overlap,
    "token_jaccard": token_jaccard,
    **{f"jaccard_{n}": partial(ngram_jaccard, n=n) for n in NGRAMS},
}
