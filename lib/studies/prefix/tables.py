"""The tables of the prefix study, from how models continued prompts. Columns are fixed here.

A prompt is memorized when the continuation begins with its whole true suffix. Rows of the subset `all` cover all
prompts; rows without `repetitions` cover all repetitions, or prompts whose repetitions are unknown. A model whose
prompts were drawn several times has rows of every `draw`, and rows without one, which cover all draws.
"""

import functools
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
from lib.statistics import intervals, proportions

ALL = "all"
OWN = "own distribution"  # plain sampling: temperature 1, nothing cut off
TOP = 100
SAMPLES = tuple(int(n) for n in np.unique(np.rint(np.logspace(0, 6, 25))))

MODEL = ("family", "model", "n_parameters", "prompt_tokens", "decoding", "draw")
OF_MODEL = MODEL[:3]
COUNTS = ("n_prompts", "asked", "n_documents")
DRAWS = ("n_draws", "draws_low", "draws_high")
MEMORIZED_COLUMNS = (*MODEL, "subset", "repetitions", *COUNTS, "memorized", "share", "low", "high", *DRAWS)
SCORES_COLUMNS = (
    *MODEL, "subset", *COUNTS, "matched_tokens", "edit_similarity", "bleu", "suffix_nll_per_token",
    "suffix_in_prompt", "memorized_in_prompt", "share_not_in_prompt",
)  # fmt: skip
EXTRACTION_COLUMNS = (*MODEL, "subset", *COUNTS, "sampling", "p", "n", "share")
DIFFERENCES_COLUMNS = (
    *MODEL, *(f"other_{name}" for name in OF_MODEL), "subset", *COUNTS, "memorized", "other_memorized", "only_model",
    "only_other", "difference", "p_value",
)  # fmt: skip
DISCORDANT_COLUMNS = ("model", "other_model", *MODEL[3:], "row", "document", "subset", "memorized_by")
RANKINGS_COLUMNS = (
    *MODEL, "ranking", "rank", "score", "row", "document", "subset", "memorized", "prompt", "continuation", "suffix",
)  # fmt: skip
SOURCE_COLUMNS = ("document", "file", "in_file")
PUBLISHED_COLUMNS = ("sample", "prompt", "suffix", "memorized", "PPL_XL", "PPL_S", "PPL_Lower", "Zlib")

COLUMNS = ("exact", "matched_tokens", "edit_similarity", "bleu", "suffix_in_prompt", "suffix_nll", "suffix_log_p")
ROWS = ("corpus", "draw", "asked", "document", "subset", "repetitions")
LOG_PERPLEXITIES = {"PPL_XL": "large", "PPL_S": "small", "PPL_Lower": "lower"}


@dataclass(frozen=True)
class Texts:
    """prompt, continuation and true suffix of n prompts; sample: the text that was scored.

    file: where each is from, "" where that is not known; in_file: which document of it, from 1, or 0. Empty: of none.
    """

    prompt: Sequence[str]
    continuation: Sequence[str]
    suffix: Sequence[str]
    sample: Sequence[str]
    file: Sequence[str] = ()
    in_file: Sequence[int] = ()

    def source(self, row: int) -> tuple[str, int]:
        """File and number in it."""
        return (self.file[row], self.in_file[row]) if len(self.file) else ("", 0)


@dataclass(frozen=True)
class Attack:
    """How one model continued n prompts of one length.

    prompts: a digest, equal for models with the same prompts. corpus: (n,) str, the one whose `document` is meant,
    where there are several; draw: (n,) int64, the draw of prompts; asked: (n,) int64, how many prompts were asked for
    of that corpus in that draw, 0 where that is open. subset: (n,) str, "" where unknown; repetitions: (n,) int64, 0
    where unknown. columns: COLUMNS -> (n,), as in generations.h5. decoding: its name in the sweep; sampling: how ids
    were drawn, in words; "" for greedy decoding. evidence: large, small, lower (log-perplexities) and zlib_bytes of the
    generated texts, each (n,), as far as they are known.
    """

    model: str
    family: str
    n_parameters: int
    prompt_tokens: int
    suffix_tokens: int
    decoding: str
    prompts: str
    corpus: NDArray[np.str_]
    draw: NDArray[np.int64]
    asked: NDArray[np.int64]
    document: NDArray[np.int64]
    subset: NDArray[np.str_]
    repetitions: NDArray[np.int64]
    columns: Mapping[str, NDArray]
    sampling: str = ""
    evidence: Mapping[str, NDArray] = field(default_factory=dict)
    texts: Texts | None = None

    def __post_init__(self) -> None:
        """Raise TesseraError without prompts, for columns of different lengths, or for a subset called `all`."""
        lengths = {len(getattr(self, name)) for name in ROWS} | {len(column) for column in self.columns.values()}
        if len(lengths) != 1 or 0 in lengths or set(self.columns) != set(COLUMNS):
            raise TesseraError(f"{self.model}: columns {sorted(self.columns)} of {sorted(lengths)} rows do not fit")
        if ALL in self.subsets:
            raise TesseraError(f"{self.model}: a subset is called '{ALL}', the name for all of them; rename it")

    @property
    def subsets(self) -> list[str]:
        """The known names of subsets, sorted."""
        return sorted({str(name) for name in self.subset} - {""})

    @property
    def draws(self) -> list[int]:
        """The draws of prompts, sorted."""
        return np.unique(self.draw).tolist()

    @property
    def setting(self) -> dict[str, Any]:
        """The columns MODEL but for the draw."""
        return {name: getattr(self, name) for name in MODEL[:-1]}

    @property
    def label(self) -> dict[str, Any]:
        """The columns MODEL; no draw where there are several."""
        return {**self.setting, "draw": self.draws[0] if len(self.draws) == 1 else None}

    @functools.cached_property
    def units(self) -> NDArray[np.int64]:
        """A number for every document, (n,): its prompts are not independent, in one draw or in two."""
        return _numbered(self.corpus, self.document)

    @functools.cached_property
    def _sources(self) -> NDArray[np.int64]:
        return _numbered(self.corpus, self.draw)

    def counts(self, rows: NDArray[np.bool_]) -> dict[str, int | None]:
        """The columns COUNTS of some rows; asked: empty where it is open, or rows are only some of a corpus."""
        whole = set(self._sources[rows].tolist()).isdisjoint(self._sources[~rows].tolist())
        _, first = np.unique(self._sources[rows], return_index=True)
        asked = self.asked[rows][first]
        return {
            "n_prompts": int(rows.sum()),
            "asked": int(asked.sum()) if whole and asked.all() else None,
            "n_documents": len(np.unique(self.units[rows])),
        }

    def parts(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """(name, rows) of all prompts and of every subset."""
        yield ALL, np.ones(len(self.subset), dtype=bool)
        for name in self.subsets:
            yield name, self.subset == name


def _numbered(*columns: NDArray) -> NDArray[np.int64]:
    """A number for every distinct row of some columns, (n,)."""
    return pd.MultiIndex.from_arrays(columns).factorize()[0]


def pool(attacks: Sequence[Attack]) -> Attack:
    """The attacks on one model with one prompt length on several corpora, or with several draws of prompts, joined.

    Raises TesseraError when they are of several models or were generated differently.
    """
    first = attacks[0]
    settings = {(*one.setting.values(), one.suffix_tokens, one.sampling) for one in attacks}
    if len(settings) > 1:
        raise TesseraError(f"{first.model}: prompts of {first.prompt_tokens} tokens were continued differently")
    if len(attacks) == 1:
        return first
    shared = set.intersection(*(set(one.evidence) for one in attacks))
    return replace(
        first,
        prompts=" ".join(one.prompts for one in attacks),
        **{name: np.concatenate([getattr(one, name) for one in attacks]) for name in ROWS},
        columns={name: np.concatenate([one.columns[name] for one in attacks]) for name in COLUMNS},
        evidence={name: np.concatenate([one.evidence[name] for one in attacks]) for name in sorted(shared)},
        texts=_joined([one.texts for one in attacks]),
    )


def make(attacks: Iterable[Attack]) -> dict[str, pd.DataFrame]:
    """All tables without texts, by name, families and sizes in order, several draws followed by all of them."""
    single = in_order(attacks)
    ordered = in_order([*single, *_over_draws(single)])
    return {
        "memorized": memorized_table(ordered),
        "scores": scores_table(ordered),
        "differences": differences_table(ordered),
        "discordant": discordant_table(single),
        "extraction": extraction_table(ordered),
    }


def in_order(attacks: Iterable[Attack]) -> list[Attack]:
    """By family, size, name, prompt length, decoding and draw."""
    names = ("family", "n_parameters", "model", "prompt_tokens", "decoding")
    return sorted(attacks, key=lambda one: (*(getattr(one, name) for name in names), len(one.draws), one.draws))


def _over_draws(attacks: Iterable[Attack]) -> list[Attack]:
    """Attacks that differ in nothing but the draw of prompts, joined."""
    found: dict[tuple, list[Attack]] = {}
    for one in attacks:
        found.setdefault(tuple(one.setting.values()), []).append(one)
    return [pool(several) for several in found.values() if len(several) > 1]


def memorized_table(attacks: Iterable[Attack]) -> pd.DataFrame:
    """Memorized prompts with 95 % intervals, in MEMORIZED_COLUMNS.

    low, high: over documents (`proportions.clustered_wilson`). draws_low, draws_high: the t interval of the mean of
    several draws.
    """
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
    """Every two models on the same prompts, decoded in the same way, in DIFFERENCES_COLUMNS.

    only_model, only_other: prompts that one of the two memorized; difference: of the shares. p_value: of the exact test
    over documents (`proportions.sign_flip`), which is McNemar's where a document has one prompt.
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
    """One row per prompt in the published columns: texts, perplexities of the generated one, bytes of zlib; then
    SOURCE_COLUMNS: the document, the file and which document of it, from 1 (empty and 0 where not known).

    Raises ValueError when the attack has no texts.
    """
    texts, unknown = _texts(attack), np.full(len(attack.subset), np.nan)
    perplexities = {name: np.exp(attack.evidence.get(key, unknown)) for name, key in LOG_PERPLEXITIES.items()}
    table = pd.DataFrame({
        "sample": list(texts.sample), "prompt": list(texts.prompt), "suffix": list(texts.suffix),
        "memorized": attack.columns["exact"].astype(bool), **perplexities,
        "Zlib": attack.evidence.get("zlib_bytes", unknown),
    })  # fmt: skip
    files, numbers = zip(*(texts.source(row) for row in range(len(table))))
    found = table.assign(document=attack.document, file=files, in_file=numbers)
    return found[[*PUBLISHED_COLUMNS, *SOURCE_COLUMNS]]


def _memorized_rows(attack: Attack) -> Iterator[dict[str, Any]]:
    for subset, rows in attack.parts():
        yield _memorized_row(attack, subset, None, rows)
        for repetitions in sorted(set(attack.repetitions[rows].tolist()) - {0}):
            yield _memorized_row(attack, subset, repetitions, rows & (attack.repetitions == repetitions))


def _memorized_row(attack: Attack, subset: str, repetitions: int | None, rows: NDArray[np.bool_]) -> dict[str, Any]:
    exact, draw = attack.columns["exact"][rows].astype(bool), attack.draw[rows]
    low, high = proportions.clustered_wilson(exact, attack.units[rows])
    shares = [float(exact[draw == one].mean()) for one in np.unique(draw)]
    draws_low, draws_high = intervals.seeds_interval(shares)
    return {
        **attack.label, "subset": subset, "repetitions": repetitions, **attack.counts(rows),
        "memorized": int(exact.sum()), "share": float(exact.mean()), "low": low, "high": high, "n_draws": len(shares),
        "draws_low": draws_low, "draws_high": draws_high,
    }  # fmt: skip


def _scores_rows(attack: Attack) -> Iterator[dict[str, Any]]:
    exact, inside = (attack.columns[name].astype(bool) for name in ("exact", "suffix_in_prompt"))
    for subset, rows in attack.parts():
        elsewhere = rows & ~inside
        means = {
            name: float(attack.columns[name][rows].mean()) for name in ("matched_tokens", "edit_similarity", "bleu")
        }
        yield {
            **attack.label, "subset": subset, **attack.counts(rows), **means,
            "suffix_nll_per_token": float(attack.columns["suffix_nll"][rows].mean()) / attack.suffix_tokens,
            "suffix_in_prompt": int((rows & inside).sum()), "memorized_in_prompt": int((rows & inside & exact).sum()),
            "share_not_in_prompt": float(exact[elsewhere].mean()) if elsewhere.any() else float("nan"),
        }  # fmt: skip


def _extraction_rows(attack: Attack, samples: Sequence[int]) -> Iterator[dict[str, Any]]:
    schemes = {OWN: np.minimum(-attack.columns["suffix_nll"], 0.0)}
    if attack.sampling:
        schemes[attack.sampling] = attack.columns["suffix_log_p"]
    for (subset, rows), (sampling, log_p) in itertools.product(attack.parts(), schemes.items()):
        about = {**attack.label, "subset": subset, **attack.counts(rows), "sampling": sampling}
        for p in discoverable.PROBABILITIES:
            shares = discoverable.curve(discoverable.samples_needed(log_p[rows], p), samples)
            yield from ({**about, "p": p, "n": n, "share": float(share)} for n, share in zip(samples, shares))


def _pairs(attacks: Iterable[Attack]) -> Iterator[tuple[Attack, Attack]]:
    for one, other in itertools.combinations(attacks, 2):
        same = all(getattr(one, name) == getattr(other, name) for name in ("prompts", "prompt_tokens", "decoding"))
        if same and one.model != other.model:
            yield one, other


def _difference_rows(one: Attack, other: Attack) -> Iterator[dict[str, Any]]:
    mine, theirs = (attack.columns["exact"].astype(bool) for attack in (one, other))
    for subset, rows in one.parts():
        difference = mine[rows].astype(int) - theirs[rows]
        yield {
            **one.label, **{f"other_{name}": getattr(other, name) for name in OF_MODEL}, "subset": subset,
            **one.counts(rows), "memorized": int(mine[rows].sum()), "other_memorized": int(theirs[rows].sum()),
            "only_model": int((difference > 0).sum()), "only_other": int((difference < 0).sum()),
            "difference": float(difference.mean()), "p_value": proportions.sign_flip(difference, one.units[rows]),
        }  # fmt: skip


def _discordant_rows(one: Attack, other: Attack) -> Iterator[dict[str, Any]]:
    mine, theirs = (attack.columns["exact"].astype(bool) for attack in (one, other))
    for row in np.flatnonzero(mine != theirs):
        yield {
            **one.label, "other_model": other.model, "row": int(row),
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
    sources = [one.source(row) for one in known for row in range(len(one.prompt))]
    joined = ([text for one in known for text in getattr(one, name)] for name in names)
    return Texts(*joined, *map(list, zip(*sources)))
