"""The tables of the prefix study, from how models continued prompts. Columns are fixed here.

A prompt is memorized when the continuation begins with its whole true suffix. Rows of the subset `all` cover all
prompts; rows without `repetitions` cover all repetitions, or prompts whose repetitions are unknown.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.base.errors import TesseraError
from lib.prefix import discoverable, rankings
from lib.reporting.frames import frame
from lib.statistics import proportions

ALL = "all"
OWN = "own distribution"  # plain sampling: temperature 1, nothing cut off
TOP = 100
SAMPLES = tuple(int(n) for n in np.unique(np.rint(np.logspace(0, 6, 25))))

MODEL = ("family", "model", "n_parameters", "prompt_tokens")
MEMORIZED_COLUMNS = (*MODEL, "subset", "repetitions", "n_prompts", "memorized", "share", "low", "high")
SCORES_COLUMNS = (
    *MODEL, "subset", "n_prompts", "matched_tokens", "edit_similarity", "bleu", "suffix_nll_per_token",
    "suffix_in_prompt", "memorized_in_prompt", "share_not_in_prompt",
)  # fmt: skip
EXTRACTION_COLUMNS = (*MODEL, "subset", "sampling", "p", "n", "share")
DIFFERENCES_COLUMNS = (
    *MODEL, "other_family", "other_model", "other_n_parameters", "subset", "n_prompts", "memorized", "other_memorized",
    "only_model", "only_other", "difference", "p_value",
)  # fmt: skip
DISCORDANT_COLUMNS = ("model", "other_model", "prompt_tokens", "row", "document", "subset", "memorized_by")
RANKINGS_COLUMNS = (
    *MODEL, "ranking", "rank", "score", "row", "document", "subset", "memorized", "prompt", "continuation", "suffix",
)  # fmt: skip
PUBLISHED_COLUMNS = ("sample", "prompt", "suffix", "memorized", "PPL_XL", "PPL_S", "PPL_Lower", "Zlib")

COLUMNS = ("exact", "matched_tokens", "edit_similarity", "bleu", "suffix_in_prompt", "suffix_nll", "suffix_log_p")
LOG_PERPLEXITIES = {"PPL_XL": "large", "PPL_S": "small", "PPL_Lower": "lower"}


@dataclass(frozen=True)
class Texts:
    """prompt, continuation and true suffix of n prompts; sample: the text that was scored."""

    prompt: Sequence[str]
    continuation: Sequence[str]
    suffix: Sequence[str]
    sample: Sequence[str]


@dataclass(frozen=True)
class Attack:
    """How one model continued n prompts of one length.

    prompts: a digest, equal for models with the same prompts. subset: (n,) str, "" where unknown; repetitions: (n,)
    int64, 0 where unknown. columns: COLUMNS -> (n,), as in generations.h5. sampling: how ids were drawn, in words; ""
    for greedy decoding. evidence: large, small, lower (log-perplexities) and zlib_bytes of the generated texts, each
    (n,), as far as they are known.
    """

    model: str
    family: str
    n_parameters: int
    prompt_tokens: int
    suffix_tokens: int
    prompts: str
    document: NDArray[np.int64]
    subset: NDArray[np.str_]
    repetitions: NDArray[np.int64]
    columns: Mapping[str, NDArray]
    sampling: str = ""
    evidence: Mapping[str, NDArray] = field(default_factory=dict)
    texts: Texts | None = None

    def __post_init__(self) -> None:
        """Raise TesseraError without prompts, for columns of different lengths, or for a subset called `all`."""
        lengths = {len(column) for column in (self.document, self.subset, self.repetitions, *self.columns.values())}
        if len(lengths) != 1 or 0 in lengths or set(self.columns) != set(COLUMNS):
            raise TesseraError(f"{self.model}: columns {sorted(self.columns)} of {sorted(lengths)} rows do not fit")
        if ALL in self.subsets:
            raise TesseraError(f"{self.model}: a subset is called '{ALL}', the name for all of them; rename it")

    @property
    def subsets(self) -> list[str]:
        """The known names of subsets, sorted."""
        return sorted({str(name) for name in self.subset} - {""})

    @property
    def label(self) -> dict[str, Any]:
        """The columns MODEL."""
        return {name: getattr(self, name) for name in MODEL}

    def parts(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """(name, rows) of all prompts and of every subset."""
        yield ALL, np.ones(len(self.subset), dtype=bool)
        for name in self.subsets:
            yield name, self.subset == name


def pool(attacks: Sequence[Attack]) -> Attack:
    """The attacks on one model with one prompt length on several corpora, joined.

    Raises TesseraError when they are of several models or were generated differently.
    """
    first = attacks[0]
    settings = {(*one.label.values(), one.suffix_tokens, one.sampling) for one in attacks}
    if len(settings) > 1:
        raise TesseraError(f"{first.model}: prompts of {first.prompt_tokens} tokens were continued differently")
    if len(attacks) == 1:
        return first
    shared = set.intersection(*(set(one.evidence) for one in attacks))
    return replace(
        first,
        prompts=" ".join(one.prompts for one in attacks),
        document=np.concatenate([one.document for one in attacks]),
        subset=np.concatenate([one.subset for one in attacks]),
        repetitions=np.concatenate([one.repetitions for one in attacks]),
        columns={name: np.concatenate([one.columns[name] for one in attacks]) for name in COLUMNS},
        evidence={name: np.concatenate([one.evidence[name] for one in attacks]) for name in sorted(shared)},
        texts=_joined([one.texts for one in attacks]),
    )


def make(attacks: Iterable[Attack]) -> dict[str, pd.DataFrame]:
    """All tables without texts, by name, families and sizes in order."""
    ordered = in_order(attacks)
    return {
        "memorized": memorized_table(ordered),
        "scores": scores_table(ordered),
        "differences": differences_table(ordered),
        "discordant": discordant_table(ordered),
        "extraction": extraction_table(ordered),
    }


def in_order(attacks: Iterable[Attack]) -> list[Attack]:
    """By family, size, name and prompt length."""
    return sorted(attacks, key=lambda one: (one.family, one.n_parameters, one.model, one.prompt_tokens))


def memorized_table(attacks: Iterable[Attack]) -> pd.DataFrame:
    """Memorized prompts with 95 % Wilson intervals, in MEMORIZED_COLUMNS."""
    return frame((row for attack in attacks for row in _memorized_rows(attack)), MEMORIZED_COLUMNS)


def scores_table(attacks: Iterable[Attack]) -> pd.DataFrame:
    """Means over prompts, in SCORES_COLUMNS; suffixes that occur in their own prompt are counted separately.

    suffix_nll_per_token: nats. share_not_in_prompt: memorized among the other suffixes; empty if there are none.
    """
    return frame((row for attack in attacks for row in _scores_rows(attack)), SCORES_COLUMNS)


def extraction_table(attacks: Iterable[Attack], samples: Sequence[int] = SAMPLES) -> pd.DataFrame:
    """The share of prompts that are (n, p)-discoverable, in EXTRACTION_COLUMNS: for OWN, and as ids were sampled."""
    return frame((row for attack in attacks for row in _extraction_rows(attack, samples)), EXTRACTION_COLUMNS)


def differences_table(attacks: Iterable[Attack]) -> pd.DataFrame:
    """Every two models on the same prompts with McNemar's exact test, in DIFFERENCES_COLUMNS.

    only_model, only_other: prompts that one of the two memorized; difference: of the shares.
    """
    rows = (row for one, other in _pairs(attacks) for row in _difference_rows(one, other))
    return frame(rows, DIFFERENCES_COLUMNS)


def discordant_table(attacks: Iterable[Attack]) -> pd.DataFrame:
    """The prompts that only one of two models memorized, in DISCORDANT_COLUMNS."""
    return frame((row for pair in _pairs(attacks) for row in _discordant_rows(*pair)), DISCORDANT_COLUMNS)


def rankings_table(attack: Attack, top: int = TOP) -> pd.DataFrame:
    """The `top` texts by each published ranking that its evidence allows, in RANKINGS_COLUMNS.

    Raises ValueError when the attack has no texts.
    """
    scores = rankings.scores(attack.evidence)
    return frame((row for name in scores for row in _ranking_rows(attack, name, scores[name], top)), RANKINGS_COLUMNS)


def samples_table(attack: Attack) -> pd.DataFrame:
    """One row per prompt in the published columns: texts, perplexities of the generated one, bytes of zlib.

    Raises ValueError when the attack has no texts.
    """
    texts, unknown = _texts(attack), np.full(len(attack.subset), np.nan)
    perplexities = {name: np.exp(attack.evidence.get(key, unknown)) for name, key in LOG_PERPLEXITIES.items()}
    table = pd.DataFrame({
        "sample": list(texts.sample), "prompt": list(texts.prompt), "suffix": list(texts.suffix),
        "memorized": attack.columns["exact"].astype(bool), **perplexities,
        "Zlib": attack.evidence.get("zlib_bytes", unknown),
    })  # fmt: skip
    return table[list(PUBLISHED_COLUMNS)]


def _memorized_rows(attack: Attack) -> Iterator[dict[str, Any]]:
    for subset, rows in attack.parts():
        yield _memorized_row(attack, subset, None, rows)
        for repetitions in sorted(set(attack.repetitions[rows].tolist()) - {0}):
            yield _memorized_row(attack, subset, repetitions, rows & (attack.repetitions == repetitions))


def _memorized_row(attack: Attack, subset: str, repetitions: int | None, rows: NDArray[np.bool_]) -> dict[str, Any]:
    n, k = int(rows.sum()), int(attack.columns["exact"][rows].sum())
    low, high = proportions.wilson(k, n)
    return {
        **attack.label, "subset": subset, "repetitions": repetitions, "n_prompts": n, "memorized": k, "share": k / n,
        "low": float(low), "high": float(high),
    }  # fmt: skip


def _scores_rows(attack: Attack) -> Iterator[dict[str, Any]]:
    exact, inside = (attack.columns[name].astype(bool) for name in ("exact", "suffix_in_prompt"))
    for subset, rows in attack.parts():
        elsewhere = rows & ~inside
        means = {
            name: float(attack.columns[name][rows].mean()) for name in ("matched_tokens", "edit_similarity", "bleu")
        }
        yield {
            **attack.label, "subset": subset, "n_prompts": int(rows.sum()), **means,
            "suffix_nll_per_token": float(attack.columns["suffix_nll"][rows].mean()) / attack.suffix_tokens,
            "suffix_in_prompt": int((rows & inside).sum()), "memorized_in_prompt": int((rows & inside & exact).sum()),
            "share_not_in_prompt": float(exact[elsewhere].mean()) if elsewhere.any() else float("nan"),
        }  # fmt: skip


def _extraction_rows(attack: Attack, samples: Sequence[int]) -> Iterator[dict[str, Any]]:
    schemes = {OWN: np.minimum(-attack.columns["suffix_nll"], 0.0)}
    if attack.sampling:
        schemes[attack.sampling] = attack.columns["suffix_log_p"]
    for (subset, rows), (sampling, log_p) in itertools.product(attack.parts(), schemes.items()):
        for p in discoverable.PROBABILITIES:
            shares = discoverable.curve(discoverable.samples_needed(log_p[rows], p), samples)
            for n, share in zip(samples, shares):
                yield {**attack.label, "subset": subset, "sampling": sampling, "p": p, "n": n, "share": float(share)}


def _pairs(attacks: Iterable[Attack]) -> Iterator[tuple[Attack, Attack]]:
    for one, other in itertools.combinations(attacks, 2):
        if one.prompts == other.prompts and one.prompt_tokens == other.prompt_tokens:
            yield one, other


def _difference_rows(one: Attack, other: Attack) -> Iterator[dict[str, Any]]:
    mine, theirs = (attack.columns["exact"].astype(bool) for attack in (one, other))
    for subset, rows in one.parts():
        b, c = int((mine & ~theirs & rows).sum()), int((theirs & ~mine & rows).sum())
        yield {
            **one.label, **{f"other_{name}": getattr(other, name) for name in MODEL[:3]}, "subset": subset,
            "n_prompts": int(rows.sum()), "memorized": int(mine[rows].sum()),
            "other_memorized": int(theirs[rows].sum()), "only_model": b, "only_other": c,
            "difference": (b - c) / int(rows.sum()), "p_value": float(proportions.mcnemar(b, c)),
        }  # fmt: skip


def _discordant_rows(one: Attack, other: Attack) -> Iterator[dict[str, Any]]:
    mine, theirs = (attack.columns["exact"].astype(bool) for attack in (one, other))
    for row in np.flatnonzero(mine != theirs):
        yield {
            "model": one.model, "other_model": other.model, "prompt_tokens": one.prompt_tokens, "row": int(row),
            "document": int(one.document[row]), "subset": str(one.subset[row]),
            "memorized_by": one.model if mine[row] else other.model,
        }  # fmt: skip


def _ranking_rows(attack: Attack, name: str, scores: NDArray[np.float64], top: int) -> Iterator[dict[str, Any]]:
    texts = _texts(attack)
    for rank, row in enumerate(rankings.top(scores, top), start=1):
        yield {
            **attack.label, "ranking": name, "rank": rank, "score": float(scores[row]), "row": int(row),
            "document": int(attack.document[row]), "subset": str(attack.subset[row]),
            "memorized": int(attack.columns["exact"][row]), "prompt": texts.prompt[row],
            "continuation": texts.continuation[row], "suffix": texts.suffix[row],
        }  # fmt: skip


def _texts(attack: Attack) -> Texts:
    if attack.texts is None:
        raise ValueError(f"{attack.model}: it has no texts")
    return attack.texts


def _joined(texts: Sequence[Texts | None]) -> Texts | None:
    known = [one for one in texts if one is not None]
    if len(known) < len(texts):
        return None
    names = ("prompt", "continuation", "suffix", "sample")
    return Texts(*([text for one in known for text in getattr(one, name)] for name in names))
