"""Cuts the ids of a canary into n-grams."""

from collections.abc import Sequence

from lib.base.errors import UsageError


def split(ids: Sequence[int], ngram: int) -> list[list[int]]:
    """The consecutive n-grams of `ids`; the last one is shorter where `ngram` does not divide the length.

    Raises UsageError for `ngram` below 1, or as large as the number of ids.
    """
    if not 1 <= ngram < len(ids):
        raise UsageError(f"ngram is {ngram}; canaries of {len(ids)} tokens allow 1 to {len(ids) - 1}")
    return [list(map(int, ids[start : start + ngram])) for start in range(0, len(ids), ngram)]
