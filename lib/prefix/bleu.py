"""Sentence BLEU over token ids (Papineni et al. 2002), smoothed as NIST's mteval and sacreBLEU's `exp` do.

The k-th n-gram order without a match counts as 1 / 2^k matches, so that one missing order does not make the score 0;
no match of any order does. (Method 3 of Chen and Cherry 2014.)
"""

import math
from collections import Counter
from collections.abc import Sequence

ORDER = 4


def score(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """BLEU in [0, 1]: the geometric mean of the n-gram precisions, n up to 4, times the brevity penalty.

    Orders that the hypothesis is too short for are left out (sacreBLEU's effective order). 0 for an empty hypothesis.
    """
    precisions, doubtful = [], 1.0
    for order in range(1, min(ORDER, len(hypothesis)) + 1):
        found, expected = _grams(hypothesis, order), _grams(reference, order)
        matches: float = (found & expected).total()
        if matches == 0:
            if order == 1:  # without a common id no longer n-gram can match
                return 0.0
            doubtful *= 2
            matches = 1 / doubtful
        precisions.append(matches / found.total())
    if not precisions:
        return 0.0
    brevity = min(1.0, math.exp(1 - len(reference) / len(hypothesis)))
    return brevity * math.exp(sum(map(math.log, precisions)) / len(precisions))


def _grams(ids: Sequence[int], order: int) -> Counter:
    return Counter(zip(*(ids[start:] for start in range(order))))
