"""Scores that are the same by definition, found from the data: they rank all canaries of all records alike.

Where all texts have equally many tokens, for instance, two ways to divide by a length differ by a constant. Such scores
have equal AUCs at every setting. They are one attack under two names, so that tables show them once and corrections for
many comparisons count them once.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.studies.mosaic.measurements import Record
from lib.studies.mosaic.words import MAIN_ATTACK, PAPER, attack_rank, label_of, score_name, split_score

EQUAL = "(= ...): this score ranks all canaries as the first one does, so that it is the same attack."

# Score name -> the first score that ranks all canaries like it: the main attack, or by the order of attacks.
Equal = Mapping[str, str]


def find(records: Iterable[Record]) -> dict[str, str]:
    """The first score that is equal to each score; most scores stand for themselves alone.

    Ties rank alike (their mean rank). Scores of different sets of records are never equal.
    """
    ranks: dict[str, list[tuple[int, bytes]]] = {}
    for place, record in enumerate(records):
        for score in record.members:
            values = np.concatenate([record.members[score], record.non_members[score]])
            ranks.setdefault(score, []).append((place, rankdata(values).tobytes()))
    first: dict[tuple[tuple[int, bytes], ...], str] = {}
    return {score: first.setdefault(tuple(ranks[score]), score) for score in sorted(ranks, key=_order)}


def once(table: pd.DataFrame, equal: Equal) -> pd.DataFrame:
    """The rows of a table with attack and variant, of equal scores only those of the first that the table has."""
    names = [score_name(*pair) for pair in zip(table["attack"], table["variant"])]
    kept = set(firsts(names, equal))
    return table[np.array([name in kept for name in names], bool)]  # also of no rows


def firsts(names: Iterable[str], equal: Equal) -> list[str]:
    """Of some scores those that stand for their equals: the first of each, in the order of attacks."""
    first: dict[str, str] = {}
    for name in sorted(set(names), key=_order):
        first.setdefault(equal.get(name, name), name)
    return list(first.values())


def attacks(equal: Equal) -> list[str]:
    """The names of the attacks of all scores; one that has no score of its own stands beside its equal."""
    found: dict[str, set[str]] = {}
    for score, first in equal.items():
        found.setdefault(split_score(score)[0], set()).add(split_score(first)[0])
    same: dict[str, list[str]] = {}
    for attack in sorted(found, key=attack_rank):
        first = attack if attack in found[attack] else min(found[attack], key=attack_rank)
        same.setdefault(first, []).extend([label_of(attack)] if attack != first else [])
    return [_beside(label_of(attack), others) for attack, others in same.items()]


def label(attack: str, variant: str, equal: Equal) -> str:
    """The name of a score in tables, with its equals: `zlib (= zlib bits)`."""
    name = score_name(attack, variant)
    others = [other for other, same in equal.items() if same == equal.get(name) and other != name]
    return _beside(label_of(attack), [_spelled(other, variant) for other in others])


def caption(attack: str, variant: str, equal: Equal) -> str:
    """Which attack a table is of: `Attack: ratio.`, and what is meant by its equals if it has any."""
    name = label(attack, variant, equal)
    return f"Attack: {name}.{f' {EQUAL}' if '(= ' in name else ''}"


def _beside(name: str, others: Sequence[str]) -> str:
    return f"{name} (= {', '.join(others)})" if others else name


def _spelled(score: str, beside: str) -> str:
    attack, variant = split_score(score)
    return label_of(attack) if variant == beside else f"{label_of(attack)} {variant}"


def _order(score: str) -> tuple[bool, tuple[int, str], bool]:
    attack, variant = split_score(score)
    return attack != MAIN_ATTACK, attack_rank(attack), variant == PAPER
