"""Sentence BLEU (Papineni et al. 2002), over token ids and smoothed, or over words and not smoothed.

`score` is smoothed as NIST's mteval and sacreBLEU's `exp` do: the k-th n-gram order without a match counts as 1 / 2^k
matches, so that one missing order does not make the score 0; no match of any order does. (Method 3 of Chen and Cherry
2014.) `word_score` is what the published extraction study took from NLTK.
"""

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence

ORDER = 4

# Words with what hyphens, full stops and commas join inside them (well-known, 3.50); English contractions apart
# (did n't, it 's), as in the Penn Treebank; other marks one by one.
WORDS = re.compile(r"\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|\w+(?:[-.,]\w+)*|[^\w\s]", re.IGNORECASE)


def score(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """BLEU in [0, 1]: the geometric mean of the n-gram precisions, n up to 4, times the brevity penalty.

    Orders that the hypothesis is too short for are left out (sacreBLEU's effective order). 0 for an empty hypothesis.
    """
    precisions, doubtful = [], 1.0
    for order in range(1, min(ORDER, len(hypothesis)) + 1):
        matches, count = _matches(hypothesis, reference, order)
        if matches == 0:
            if order == 1:  # without a common id no longer n-gram can match
                return 0.0
            doubtful *= 2
            matches = 1 / doubtful
        precisions.append(matches / count)
    return _combined(precisions, len(hypothesis), len(reference)) if precisions else 0.0


def word_score(hypothesis: str, reference: str) -> float:
    """BLEU in [0, 1] over words, n up to 4, not smoothed: 0 when any order has no match.

    On the same words it is NLTK's `sentence_bleu` (which gives some 1e-78 instead of 0). The words are WORDS, close to
    those of NLTK's `word_tokenize`, which needs a data file of its own.
    """
    return plain(WORDS.findall(hypothesis), WORDS.findall(reference))


def plain(hypothesis: Sequence[Hashable], reference: Sequence[Hashable]) -> float:
    """BLEU in [0, 1], n up to 4, not smoothed. 0 for a hypothesis of fewer than 4."""
    precisions = []
    for order in range(1, ORDER + 1):
        matches, count = _matches(hypothesis, reference, order)
        if matches == 0:
            return 0.0
        precisions.append(matches / count)
    return _combined(precisions, len(hypothesis), len(reference))


def _combined(precisions: Sequence[float], length: int, reference_length: int) -> float:
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return brevity * math.exp(sum(map(math.log, precisions)) / len(precisions))


def _matches(hypothesis: Sequence[Hashable], reference: Sequence[Hashable], order: int) -> tuple[float, int]:
    """How many n-grams of the hypothesis the reference has as well (each as often as it has it), and how many there
    are."""
    found, expected = _grams(hypothesis, order), _grams(reference, order)
    return float((found & expected).total()), found.total()


def _grams(units: Sequence[Hashable], order: int) -> Counter:
    return Counter(zip(*(units[start:] for start in range(order))))
