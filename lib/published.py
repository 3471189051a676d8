"""The published figures of "The mosaic memory of large language models", as tables of this suite.

sweeps/published/mosaic_aucs.csv: 1,800 AUCs (4 models, 5 seeds, 5 attacks by the published estimators, nu = 1..10 and
R = 1..75). sweeps/published/mosaic_rho.csv: 113 means and standard deviations (ddof 0) of rho over the seeds.
"""

from pathlib import Path

import pandas as pd

from lib.errors import TesseraError
from lib.tables import EXACT, PAPER, Measurement

FOLDER = Path(__file__).parent.parent / "sweeps" / "published"
AUCS, RHO = FOLDER / "mosaic_aucs.csv", FOLDER / "mosaic_rho.csv"
KINDS = {"repetitions": EXACT, "replacements": "replace"}
RHO_ATTACK = "ratio"  # the attack behind every published rho

MODELS = {
    "gptneo1B": "GPT-Neo 1.3B",
    "gemma2B": "Gemma 2B",
    "llama_3.2_1B": "Llama 3.2 1B",
    "phi2": "Phi-2",
}


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
