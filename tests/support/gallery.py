"""The rows of tables that the READMEs quote: kept beside their figures in sweeps/gallery, where a test compares them.

    python -m tests.support.gallery OUTPUTS [OUTPUTS ...]

takes them again from the tables of the sweeps (profile `laptop`) that these folders hold.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.base import places
from lib.base.places import ROOT

FOLDER = ROOT / "sweeps" / "gallery"
RATIO = "attack == 'ratio' and variant == 'corrected'"
MEANS = "seed.isna()"


class Kept(NamedTuple):
    """The rows of a table that a condition chooses, and their columns."""

    sweep: str
    table: str
    rows: str
    columns: tuple[str, ...]


PREDICTED = ("perturbations", "spearman", "low", "high")
RHO = ("kind", "level", "setting", "estimator", "rho")
KEPT = (
    Kept("near_dupls", "auc", "variant == 'corrected' and kind == 'exact'", ("seed", "attack", "level", "auc")),
    Kept(
        "near_dupls", "rho", f"variant == 'corrected' and kind == 'replace' and {MEANS}",
        ("attack", "level", "estimator", "n_seeds", "rho", "rho_seeds_low", "rho_seeds_high"),
    ),
    *(Kept(sweep, "rho", f"{RATIO} and {MEANS}", RHO) for sweep in ("insertions", "shuffles", "top_k")),
    Kept(
        "deviations", "changes", f"{RATIO} and seed == 1 and level in (10, 50) and estimator != 'paper'",
        ("kind", "level", "setting", "quantity", "value", "default", "difference", "low", "high"),
    ),
    Kept("ablations", "auc", f"{RATIO} and kind == 'exact' and level == 10", ("model", "setting", "auc")),
    Kept(
        "ablations", "rho", f"{RATIO} and seed == 1 and kind == 'replace' and estimator == 'isotonic'",
        ("model", "level", "setting", "rho", "rho_low", "rho_high"),
    ),
    Kept(
        "architectures", "families", f"{RATIO} and {MEANS} and estimator != 'paper'",
        ("model", "other_model", "kind", "level", "setting", "rho", "other_rho", "difference", "low", "high"),
    ),
    Kept("architectures", "exposure", f"{RATIO} and {MEANS}", ("model", "auc", "other_auc", "difference")),
    Kept(
        "prefix_sizes", "memorized", "subset == 'all' and repetitions.notna()",
        ("model", "repetitions", "n_prompts", "memorized", "share"),
    ),
    Kept(
        "prefix_lengths", "memorized", "subset == 'all' and repetitions == 16",
        ("model", "prompt_tokens", "n_prompts", "memorized", "share"),
    ),
    Kept("distances", "predictors", f"{RATIO} and estimator == 'isotonic'", ("distance", *PREDICTED)),
    Kept(
        "exposure", "conditions", "gain == gain",
        ("kind", "setting", "level", "exact", "near", "share", "gain", "low", "high",
         "worth", "worth_low", "worth_high", "clamped", "rho_published", "rho_laptop"),
    ),
    Kept(
        "exposure", "predictions", "measure == 'gain'",
        ("subset", "predictor", "spearman", "low", "high", "difference", "difference_low", "difference_high",
         "difference_seeds_low", "difference_seeds_high", "r2", "r2_low", "r2_high"),
    ),
    Kept("architectures", "rates", RATIO, ("model", "learning_rate", "auc", "target_auc", "matched_rate")),
)  # fmt: skip


def file(kept: Kept) -> Path:
    """Where the rows are kept."""
    return FOLDER / f"{kept.sweep}_laptop_{kept.table}.csv"


def main(outputs: list[str]) -> None:
    """Write the rows of every sweep that one of the folders of outputs holds."""
    for kept in KEPT:
        for root in map(Path, outputs):
            source = places.tables(root, kept.sweep) / f"{kept.table}.csv"
            if source.exists():
                rows = pd.read_csv(source).query(kept.rows, engine="python")
                rows.to_csv(file(kept), columns=list(kept.columns), index=False, lineterminator="\n")
                print(f"{file(kept)}: {len(rows)} rows of {source}")


if __name__ == "__main__":
    main(sys.argv[1:])
