"""The tables of a cleaned corpus: what went, by cause; what is left; how far given texts stood in the corpus."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.corpus.cleaning.ranges import CAUSES
from lib.reporting.frames import frame
from lib.statistics import exposure

TOTALS_COLUMNS = ("round", "tokens", "gone_tokens", "gone_share", "documents", "cut_documents", "gone_documents")
REMOVED_COLUMNS = ("round", "cause", "copies", "cuts", "gone_tokens", "gone_share", "gone_bytes")
LEFT_COLUMNS = ("tokens", "groups", "windows", "groups_of_before")
MEANS = ("covered", "exact", "near", "worth")
CONTAMINATION_COLUMNS = ("text", "tokens", "windows", *MEANS, "max_exact", "max_worth", "nearest")


@dataclass(frozen=True)
class Removed:
    """What went in a round. totals: `tokens`, `gone_tokens`, `documents`, `cut_documents`, `gone_documents`; the
    columns of the sums (n,): cause (bits), copies (the power of ten that they reach), cuts, tokens, bytes."""

    totals: Mapping[str, int]
    sums: Mapping[str, NDArray]


@dataclass(frozen=True)
class Sought:
    """Texts that were sought. names: of the texts; text_tokens: (texts,); text: (windows,), whose window; target,
    distance: (found,), the near-duplicates; length: tokens of a window; levels, rho: the published values, by share."""

    names: list[str]
    text_tokens: NDArray
    text: NDArray
    target: NDArray
    distance: NDArray
    length: int
    levels: NDArray
    rho: NDArray


def cause_of(bits: int) -> str:
    """Causes in words."""
    return " and ".join(name for bit, name in CAUSES.items() if bits & bit)


def copies_of(reached: int) -> str:
    """How many copies those are that reach a power of ten."""
    return "" if not reached else f"{max(reached, 2):,} to {10 * reached - 1:,}"


def totals_table(rounds: Sequence[Removed]) -> pd.DataFrame:
    """One row for each round, in TOTALS_COLUMNS; the corpus of the second is what the first has left."""
    rows = (
        {"round": number, **one.totals, "gone_share": _share(one.totals["gone_tokens"], one.totals["tokens"])}
        for number, one in enumerate(rounds, start=1)
    )
    return frame(rows, TOTALS_COLUMNS)


def removed_table(rounds: Sequence[Removed]) -> pd.DataFrame:
    """What went by round, cause and the number of equal windows, in REMOVED_COLUMNS; gone_share: of the tokens that the
    round began with."""
    rows = ({"round": number, **row} for number, one in enumerate(rounds, start=1) for row in _removed_rows(one))
    return frame(rows, REMOVED_COLUMNS)


def left_table(left: Mapping[str, int]) -> pd.DataFrame:
    """What the cleaned corpus still holds twice, in LEFT_COLUMNS."""
    return frame([left], LEFT_COLUMNS)


def contamination_table(sought: Sought) -> pd.DataFrame:
    """How far each text stands in the corpus, in CONTAMINATION_COLUMNS; a text that is too short has no values.

    covered: share of its windows with at least one exact copy; exact, near: mean number of exact copies and of
    near-duplicates at distance 1 and above of a window; worth: mean number of copies that both count for, each
    near-duplicate as rho of its distance; max_...: of its window with the most; nearest: the least distance.
    """
    return frame(_contamination_rows(sought), CONTAMINATION_COLUMNS)


def _removed_rows(removed: Removed) -> Iterator[dict[str, Any]]:
    whole = removed.totals["tokens"]
    for row in pd.DataFrame(removed.sums).to_dict("records"):
        words = {"cause": cause_of(row["cause"]), "copies": copies_of(row["copies"])}
        sizes = {"gone_tokens": row["tokens"], "gone_share": _share(row["tokens"], whole), "gone_bytes": row["bytes"]}
        yield {**words, "cuts": row["cuts"], **sizes}


def _contamination_rows(sought: Sought) -> Iterator[dict[str, Any]]:
    windows, exact = len(sought.text), sought.distance == 0
    counts = {
        "exact": np.bincount(sought.target[exact], minlength=windows),
        "near": np.bincount(sought.target[~exact], minlength=windows),
        "worth": exposure.of_targets(
            sought.target, sought.distance / sought.length, windows, sought.levels, sought.rho
        ),
    }
    nearest = np.full(windows, np.inf)
    np.minimum.at(nearest, sought.target, sought.distance)
    for number, (name, tokens) in enumerate(zip(sought.names, sought.text_tokens.tolist())):
        mine = np.flatnonzero(sought.text == number)
        found = _of_text({key: values[mine] for key, values in counts.items()}, nearest[mine]) if len(mine) else {}
        yield {"text": name, "tokens": tokens, "windows": len(mine), **found}


def _of_text(counts: Mapping[str, NDArray], nearest: NDArray[np.float64]) -> dict[str, Any]:
    least = nearest.min()
    return {
        **{name: float(values.mean()) for name, values in counts.items()},
        "covered": float((counts["exact"] > 0).mean()),
        "max_exact": int(counts["exact"].max()),
        "max_worth": float(counts["worth"].max()),
        "nearest": int(least) if np.isfinite(least) else None,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
