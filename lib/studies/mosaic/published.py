"""The published figures of "The mosaic memory of large language models", as tables of this suite.

sweeps/published/mosaic_aucs.csv: 1,800 AUCs (4 models, 5 seeds, 5 attacks by the published estimators, nu = 1..10 and
R = 1..75). sweeps/published/mosaic_rho.csv: 113 means and standard deviations (ddof 0) of rho over the seeds.
sweeps/published/mosaic_rho_bands.csv: rho of SlimPajama's near-duplicates by band of Levenshtein distance (`value` is
its upper end: 10 is 1 to 10 edits). Published code names no model for it (taken to be that of all other experiments)
and no standard deviation.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.base import places
from lib.base.errors import TesseraError
from lib.reporting import frames
from lib.studies.mosaic.measurements import Measurement
from lib.studies.mosaic.words import EXACT, PAPER

FOLDER = places.PUBLISHED
AUCS, RHO, BANDS = FOLDER / "mosaic_aucs.csv", places.PUBLISHED_RHO, FOLDER / "mosaic_rho_bands.csv"
BAND_WIDTH = 10  # edits of a band of near-duplicates: 1 to 10, 11 to 20, ...
KINDS = {"repetitions": EXACT, "replacements": "replace"}
RHO_ATTACK = "ratio"  # the attack behind every published rho

# Beside those of `replace` and `shuffle`.
EXPERIMENTS = {"insert": "insertions", "scramble": "scrambled", "near_duplicates": "near_duplicates"}
WALK = ";method=paper"  # how the published shuffles were made; their settings do not say it
AUC_COLUMNS = ("model", "seed", "variable", "value", "attack", "auc")  # of AUCS
CURVE_COLUMNS = ("value", "mean", "std")
COPIES, LENGTH = 10, 100  # of a canary, behind every published rho
STAND_IN = "gptneo1B"  # the one model with all experiments
LABEL, OF_ANOTHER = "published", "published, "  # of a curve of the same model, and of the model that is named behind it
BESIDE_COLUMNS = ("model", "kind", "setting", "level", "published_source", "published_mean", "published_std")

# The models as the files name them, and how else a sweep may name them (letters and digits only).
MODELS = {
    "gptneo1B": ("gptneo1b", "gptneo13b"),
    "gemma2B": ("gemma2b",),
    "llama_3.2_1B": ("llama321b",),
    "phi2": ("phi2",),
}


@dataclass(frozen=True)
class Reference:
    """A published curve to draw beside ours: label, and a table with value (the level), mean and std over seeds.
    Settings that share a curve share the object."""

    label: str
    curve: pd.DataFrame


Key = tuple[str, str, str]  # model, kind, setting


def references(keys: Iterable[Key], stand_in: str | None = None) -> dict[Key, Reference]:
    """The published rho of every key that has it, by the labels alone (see `experiment_of`).

    stand_in: the published model whose curve, labelled with its name, stands for models without a published one.
    """
    return _known(keys, stand_in, _rho_curve)


def auc_references(keys: Iterable[Key], stand_in: str | None = None) -> dict[Key, Reference]:
    """The published AUC of RHO_ATTACK of every key that has it, as in `references`: exact copies, replaced tokens."""
    return _known(keys, stand_in, _auc_curve)


def _known(
    keys: Iterable[Key], stand_in: str | None, read: Callable[[str, str, str, str], Reference]
) -> dict[Key, Reference]:
    found = {}
    for model, kind, setting in keys:
        names = {published_name(model): LABEL} if published_name(model) else {}
        names.setdefault(stand_in, f"{OF_ANOTHER}{stand_in}")
        curves = [read(kind, setting, name, label) for name, label in names.items() if name]
        known = [one for one in curves if not one.curve.empty]
        if known:
            found[model, kind, setting] = known[0]
    return found


def beside(found: Mapping[Key, Reference]) -> pd.DataFrame:
    """References as a table in BESIDE_COLUMNS, a row for each level; published_source is the label."""
    parts = [
        reference.curve.set_axis(["level", "published_mean", "published_std"], axis=1).assign(
            model=model, kind=kind, setting=setting, published_source=reference.label
        )
        for (model, kind, setting), reference in found.items()
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(BESIDE_COLUMNS))
    return table[list(BESIDE_COLUMNS)].astype(dict.fromkeys(("level", *BESIDE_COLUMNS[5:]), float))


def join(rho: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """A rho table with the published columns of `theirs` (a table of `beside`). Only means over seeds of RHO_ATTACK by
    the paper estimator have them; published_source is "" elsewhere."""
    on = list(BESIDE_COLUMNS[:4])
    joined = rho.astype({"level": float}).merge(theirs.astype({"level": float}), on=on, how="left")
    comparable = (joined["attack"] == RHO_ATTACK) & (joined["estimator"] == PAPER) & joined["seed"].isna()
    joined["published_source"] = joined["published_source"].where(comparable).fillna("")
    for name in BESIDE_COLUMNS[5:]:
        joined[name] = joined[name].where(comparable)
    return joined


@functools.cache
def _rho_curve(kind: str, setting: str, model: str, label: str) -> Reference:
    experiment, theirs = experiment_of(kind, setting) or ("", "")
    return Reference(label, rho(experiment, model, theirs).set_axis(list(CURVE_COLUMNS), axis=1))


@functools.cache
def _auc_curve(kind: str, setting: str, model: str, label: str) -> Reference:
    rows = _read(AUCS, AUC_COLUMNS).assign(kind=lambda table: table["variable"].map(KINDS), setting="")
    mine = (rows[["model", "attack", "kind", "setting"]] == [model, RHO_ATTACK, kind, setting]).all(axis=1)
    aucs = rows[mine].groupby("value")["auc"]
    return Reference(label, pd.DataFrame({"mean": aucs.mean(), "std": aucs.std(ddof=0)}).reset_index())


def experiment_of(kind: str, setting: str) -> tuple[str, str] | None:
    """The published (experiment, setting) of a kind and setting of our tables; None if it was not published.

    Published shuffles were made by a random walk. At the same tau it keeps more n-grams in place than uniform shuffles.
    """
    if kind == "replace" and not setting:
        return "replacements", ""
    if kind == "replace":
        return ("top_k", setting) if setting.startswith("k=") else None
    if kind == "shuffle":
        return ("shuffle", setting.removesuffix(WALK)) if setting.endswith(WALK) else None
    return (EXPERIMENTS[kind], setting) if kind in EXPERIMENTS else None


def replacement_settings(strategy: str, top_k: int) -> list[tuple[str, str]]:
    """Every published (experiment, setting) whose tokens were replaced in this way; one has two names.

    What a causal model proposes counts as well, though the published replacements are a masked one's.
    """
    if strategy in ("mlm_random", "clm_random"):
        return [("top_k", "k=random")]
    found = [("top_k", f"k={top_k}")] if strategy in ("mlm", "clm") and top_k in (10, 100, 1000) else []
    return [*found, ("replacements", "")] if found and top_k == 10 else found


def published_name(model: str) -> str | None:
    """How the published files name `model` (`EleutherAI/gpt-neo-1.3B` is gptneo1B); None when they do not have it."""
    plain = re.sub(r"[^a-z0-9]", "", model.rsplit("/", 1)[-1].lower())
    return next((name for name, others in MODELS.items() if plain in others), None)


def model_of(source: str, model: str) -> str:
    """The published model behind a label of `references` for `model`; "" without a label."""
    return (published_name(model) or model) if source == LABEL else source.removeprefix(OF_ANOTHER)


def measurements(path: Path = AUCS) -> list[Measurement]:
    """Every published AUC, sorted by key. Without canaries there are no bootstrap samples and no counts.

    Raises TesseraError naming the file and the column or value for any other table.
    """
    table = _read(path, AUC_COLUMNS)
    if unknown := set(table["variable"]) - set(KINDS):
        raise TesseraError(f"{path}: unknown variable {sorted(unknown)[0]!r}; known: {', '.join(KINDS)}")
    found = [
        Measurement(row.model, int(row.seed), row.attack, PAPER, KINDS[row.variable], int(row.value), float(row.auc))
        for row in table.itertuples()
    ]
    return sorted(found, key=lambda measured: measured.key)


def rho(experiment: str, model: str, setting: str = "") -> pd.DataFrame:
    """The published rho of one setting: columns value, rho_mean, rho_std, by increasing value; no rows if unknown.

    experiment: replacements, insertions, scrambled, shuffle, top_k or near_duplicates. Raises TesseraError for another
    file in their place.
    """
    table = _read(
        BANDS if experiment == "near_duplicates" else RHO,
        ("experiment", "model", "setting", "value", "rho_mean", "rho_std"),
    )
    match = table[["experiment", "model", "setting"]].fillna("") == [experiment, model, setting]
    return table.loc[match.all(axis=1), ["value", "rho_mean", "rho_std"]].sort_values("value", ignore_index=True)


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = frames.parse_csv(path)
    if missing := [name for name in columns if name not in table.columns]:
        raise TesseraError(f"{path}: no column '{missing[0]}' (has: {', '.join(table.columns)})")
    return table
