"""The published figures of "The mosaic memory of large language models", as tables of this suite.

sweeps/published/mosaic_aucs.csv: 1,800 AUCs (4 models, 5 seeds, 5 attacks by the published estimators, nu = 1..10 and
R = 1..75). sweeps/published/mosaic_rho.csv: 113 means and standard deviations (ddof 0) of rho over the seeds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.errors import TesseraError
from lib.tables import EXACT, PAPER, Measurement

FOLDER = Path(__file__).parent.parent / "sweeps" / "published"
AUCS, RHO = FOLDER / "mosaic_aucs.csv", FOLDER / "mosaic_rho.csv"
KINDS = {"repetitions": EXACT, "replacements": "replace"}
RHO_ATTACK = "ratio"  # the attack behind every published rho

# The models as the files name them, and what else a sweep may call them (letters and digits only).
MODELS = {
    "gptneo1B": ("gptneo1b", "gptneo13b"),
    "gemma2B": ("gemma2b",),
    "llama_3.2_1B": ("llama321b",),
    "phi2": ("phi2",),
}


@dataclass(frozen=True)
class Reference:
    """A published curve to draw beside ours: label, and a table with value, rho_mean, rho_std."""

    label: str
    rho: pd.DataFrame


def references(models: Iterable[str], experiment: str = "replacements", setting: str = "") -> dict[str, Reference]:
    """The published curve of every model of `models` that has one for this experiment and setting."""
    curves = {model: rho(experiment, name, setting) for model in models if (name := published_name(model))}
    return {model: Reference("published", curve) for model, curve in curves.items() if not curve.empty}


def replacement_setting(strategy: str, top_k: int) -> tuple[str, str] | None:
    """The published (experiment, setting) of token replacement drawn this way; None when there is none."""
    settings = {
        ("mlm", 10): ("replacements", ""), ("mlm", 100): ("top_k", "k=100"), ("mlm", 1000): ("top_k", "k=1000"),
    }  # fmt: skip
    return ("top_k", "k=random") if strategy == "mlm_random" else settings.get((strategy, top_k))


def published_name(model: str) -> str | None:
    """How the published files name `model` (`EleutherAI/gpt-neo-1.3B` is gptneo1B); None when they do not have it."""
    plain = re.sub(r"[^a-z0-9]", "", model.rsplit("/", 1)[-1].lower())
    return next((name for name, others in MODELS.items() if plain in others), None)


def measurements(path: Path = AUCS) -> list[Measurement]:
    """Every published AUC, sorted by key; no canaries, so no bootstrap samples and no counts.

    Raises TesseraError naming the file and the column or value when it is no such table.
    """
    table = _read(path, ("model", "seed", "variable", "value", "attack", "auc"))
    if unknown := set(table["variable"]) - set(KINDS):
        raise TesseraError(f"{path}: unknown variable {sorted(unknown)[0]!r}; known: {', '.join(KINDS)}")
    found = [
        Measurement(row.model, int(row.seed), row.attack, PAPER, KINDS[row.variable], int(row.value), float(row.auc))
        for row in table.itertuples()
    ]
    return sorted(found, key=lambda measured: measured.key)


def rho(experiment: str, model: str, setting: str = "", path: Path = RHO) -> pd.DataFrame:
    """The published rho of one setting: columns value, rho_mean, rho_std, by increasing value; empty if unknown.

    experiment: replacements, insertions, scrambled, shuffle or top_k. Raises TesseraError for any other file.
    """
    table = _read(path, ("experiment", "model", "setting", "value", "rho_mean", "rho_std"))
    match = table[["experiment", "model", "setting"]].fillna("") == [experiment, model, setting]
    return table.loc[match.all(axis=1), ["value", "rho_mean", "rho_std"]].sort_values("value", ignore_index=True)


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise TesseraError(f"{path}: cannot be read as a table: {error}") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise TesseraError(f"{path}: no column '{missing[0]}' (has: {', '.join(table.columns)})")
    return table
