"""The exposure study in words: what a near-duplicate counted as, and which number predicts better."""

from collections.abc import Iterator

import pandas as pd

from lib.reporting.cells import interval
from lib.studies.exposure.tables import COUNT, EXACT

FEW_SEEDS = 3


def in_words(conditions: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[str]:
    """A sentence on exact copies, one on each kind of near-duplicate, and one on each predictor."""
    yield from _curve(conditions[conditions["kind"] == EXACT])
    for (kind, setting, level), rows in conditions[conditions["worth"].notna()].groupby(
        ["kind", "setting", "level"], sort=False
    ):
        yield _worth(str(kind), str(setting), float(level), rows)
    for subset, rows in predictions[predictions["measure"] == "gain"].groupby("subset", sort=False):
        yield from _predicted(str(subset), rows.set_index("predictor"))


def _curve(exact: pd.DataFrame) -> Iterator[str]:
    if len(exact) > 1:
        first, last = exact.iloc[0], exact.iloc[-1]
        yield (
            f"A token of a suffix is {_nats(first)} nats likelier than without the passages after {first['exact']:g} "
            f"exact copies, and {_nats(last)} after {last['exact']:g}."
        )


def _worth(kind: str, setting: str, level: float, rows: pd.DataFrame) -> str:
    name = f"{level:g} replaced tokens" if kind == "replace" else setting
    expected = [column for column in rows if column.startswith("rho_")]
    found = "; ".join(
        f"{row['worth']:.2f} {interval(row['worth_low'], row['worth_high'], 2)} beside {row['exact']:g} exact"
        for _, row in rows.iterrows()
    )
    said = ", ".join(f"{rows[column].mean():.2f} ({column.removeprefix('rho_')})" for column in expected)
    share = f"{100 * rows['share'].mean():.0f} %"
    return f"A near-duplicate with {name} ({share} of the tokens differ) counted as {found} copies. By ρ: {said}."


def _predicted(subset: str, rows: pd.DataFrame) -> Iterator[str]:
    base = rows.loc[COUNT]
    begun = f"Of {subset} passages ({base['n_passages']:g})" if subset == "all" else f"Of passages {subset}"
    yield f"{begun}, exact copies order the gain with Spearman {_estimate(base, 'spearman', '')}."
    for name, row in rows.drop(index=COUNT).iterrows():
        difference = interval(row["difference_low"], row["difference_high"], 2)
        r2 = interval(row["r2_difference_low"], row["r2_difference_high"], 2)
        yield (
            f"{begun}: {name} with {_estimate(row, 'spearman', '')}, {row['difference']:+.2f} {difference} to exact "
            f"copies; explained variance {row['r2']:.2f}, {row['r2_difference']:+.2f} {r2}."
        )


def _estimate(row: pd.Series, name: str, prefix: str) -> str:
    return f"{row[name]:.2f} {interval(row[f'{prefix}low'], row[f'{prefix}high'], 2)}"


def _nats(row: pd.Series) -> str:
    return f"{row['gain']:.2f} {interval(row['low'], row['high'], 2)}"


def warnings(conditions: pd.DataFrame, n_seeds: int) -> Iterator[str]:
    """What makes a number weaker than it looks."""
    if n_seeds < FEW_SEEDS:
        yield f"Only {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}: intervals are over passages of so few models."
    clamped = conditions["clamped"].fillna(False).astype(bool)
    if clamped.any():
        worth = int(conditions["worth"].notna().sum())
        yield (
            f"{int(clamped.sum())} of {worth} conditions gain as much as an end of the exact curve, or more (†): their "
            "worth is that of the end."
        )
