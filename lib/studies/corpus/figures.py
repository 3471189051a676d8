"""Figures of the corpus study: tables in, matplotlib figures out. A bucket keeps its colour and dash."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from lib.reporting import drawing

NAMES = {"hamming": "Hamming", "levenshtein": "Levenshtein"}
STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#E69F00", "-"), ("#56B4E9", "--"))
METRIC_STYLES = {"hamming": ("#D55E00", "--"), "levenshtein": ("#0072B2", "-")}
RANDOM_STYLE = (drawing.GREY, ":")


def label_of(bucket: int) -> str:
    """The name of a bucket of targets in figures and sentences."""
    return f"about {bucket:,} copies" if bucket else "random"


def cumulative_figure(cumulative: pd.DataFrame) -> Figure:
    """Mean near-duplicates up to each distance, a panel per metric, a line per bucket; bands of one standard error."""
    buckets = _buckets(cumulative)

    def panel(axes: Axes, title: str) -> None:
        rows = cumulative[(cumulative["metric"] == title.lower()) & (cumulative["distance"] > 0)]
        for bucket, (colour, dash) in _styles(buckets).items():
            _band(axes, rows[rows["bucket"] == bucket], colour, dash, label_of(bucket))
        _log(axes, cumulative["mean"])

    return drawing.panels(list(NAMES.values()), panel, "distance ≤", "mean near-duplicates")


def metrics_figure(cumulative: pd.DataFrame) -> Figure:
    """Hamming against Levenshtein: mean near-duplicates up to each distance, one panel per bucket."""
    titles = {label_of(bucket): bucket for bucket in _buckets(cumulative)}

    def panel(axes: Axes, title: str) -> None:
        rows = cumulative[(cumulative["bucket"] == titles[title]) & (cumulative["distance"] > 0)]
        for metric, (colour, dash) in METRIC_STYLES.items():
            _band(axes, rows[rows["metric"] == metric], colour, dash, NAMES[metric])
        _log(axes, cumulative["mean"])

    return drawing.panels(list(titles), panel, "distance ≤", "mean near-duplicates")


def survival_figure(survival: pd.DataFrame) -> Figure:
    """Share of near-duplicates that n-gram deduplication leaves, one panel per metric, one line per bucket; bands of
    95 % over targets."""

    def panel(axes: Axes, title: str) -> None:
        rows = survival[survival["metric"] == title.lower()]
        for bucket, (colour, dash) in _styles(_buckets(survival)).items():
            mine = rows[rows["bucket"] == bucket]
            n, share, low, high = (_numbers(mine, name) for name in ("n", "share", "low", "high"))
            axes.plot(n, share, color=colour, linestyle=dash, label=label_of(bucket))
            axes.fill_between(n, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_ylim(-0.02, 1.02)

    return drawing.panels(list(NAMES.values()), panel, "n of the n-grams", "share that survives")


def exposure_figure(exposure: pd.DataFrame) -> Figure:
    """Effective exposure against exact copies on log axes: a point for each target, its median for each bucket."""

    def panel(axes: Axes, title: str) -> None:
        ends = [exposure["exact"].min(), exposure["exact"].max()]
        axes.plot(ends, ends, color=drawing.GREY, linewidth=0.8, label="exact copies alone")
        for bucket, (colour, _) in _styles(_buckets(exposure)).items():
            rows = exposure.loc[exposure["bucket"] == bucket, ["exact", "exposure"]]
            axes.plot(rows["exact"], rows["exposure"], ".", color=colour, alpha=0.5, label=label_of(bucket))
            axes.plot(*rows.median(), "D", color=colour, markeredgecolor="black", label="median")
        axes.set(xscale="log", yscale="log")

    return drawing.panels(["exposure"], panel, "exact copies", "copies' worth")


def exact_figure(exact: pd.DataFrame) -> Figure:
    """The number of groups of exact duplicates by their size: every chunk in grey, their sum in colour."""
    several = exact["chunk"].nunique() > 1

    def panel(axes: Axes, title: str) -> None:
        for _, rows in exact.groupby("chunk") if several else ():
            axes.plot(_numbers(rows, "count"), _numbers(rows, "groups"), ".", color="#b5b5b5", label="one chunk")
        total = exact.groupby("count")["groups"].sum()
        label = "all chunks" if several else "the only chunk"
        axes.plot(total.index.to_numpy(float), total.to_numpy(float), ".", color="#0072B2", label=label)
        axes.set(xscale="log", yscale="log")
        ticks = drawing.round_numbers(*exact["count"].agg(["min", "max"]))
        axes.xaxis.set_major_locator(FixedLocator(drawing.apart(ticks, 0.09, math.log) if ticks else ticks))
        axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())

    return drawing.panels(["exact duplicates"], panel, "members of a group", "groups")


def _band(axes: Axes, rows: pd.DataFrame, colour: str, dash: str, label: str) -> None:
    distance, mean, error = (_numbers(rows, name) for name in ("distance", "mean", "standard_error"))
    mean = np.where(mean > 0, mean, np.nan)  # a logarithmic axis has no zero
    error = np.nan_to_num(error)
    axes.plot(distance, mean, color=colour, linestyle=dash, label=label)
    below = np.maximum(mean - error, mean / 10)
    axes.fill_between(distance, below, mean + error, color=colour, alpha=0.18, linewidth=0)


def _log(axes: Axes, values: pd.Series) -> None:
    if (values > 0).any():
        axes.set_yscale("log")


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(dtype=float, na_value=np.nan)


def _buckets(table: pd.DataFrame) -> list[int]:
    return list(dict.fromkeys(int(bucket) for bucket in table["bucket"]))


def _styles(buckets: list[int]) -> dict[int, tuple[str, str]]:
    styles = {bucket: STYLES[i % len(STYLES)] for i, bucket in enumerate(filter(None, buckets))}
    return {**styles, **({0: RANDOM_STYLE} if 0 in buckets else {})}
