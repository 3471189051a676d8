"""One self-contained HTML report: figures as base64 PNG, tables with their CSV embedded; it needs no network."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib import files, tables

TEMPLATE = "report.html.j2"
METHODS = {
    "AUC": "Area under the ROC curve, P(member > non-member) + P(equal) / 2. Every score is oriented so that higher "
    "means member.",
    "Intervals": "95 % percentile bootstrap over canaries, members and non-members drawn apart; settings over the same "
    "canaries share their draws, so the interval of ρ goes through the whole exact curve. Figures show this interval "
    "for one seed, and the mean with one standard deviation (ddof 0) over several.",
    "TPR at FPR": "The largest true-positive rate of a threshold whose false-positive rate does not exceed the target.",
    "ρ": "(ν_eq - 1) / (ν_max - 1), where ν_eq exact copies give the AUC that the fuzzy duplicates give.",
    "ρ, isotonic": "Isotonic regression of the exact curve, inverted by linear interpolation, held within [1, ν_max].",
    "ρ, paper": "The published estimator: the curve at every integer ν, moving average of width 3 (end points kept), "
    "linear interpolation, last crossing; above the curve by the mean absolute slope of its last 3 steps; at least 1.",
}


@dataclass(frozen=True)
class ReportFigure:
    """A figure (PNG bytes) with the title and the caption that explain it."""

    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class ReportTable:
    """A table that is shown (header, rows of text), and the whole one whose CSV can be saved as `<name>.csv`."""

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    whole: pd.DataFrame


@dataclass(frozen=True)
class Report:
    """Everything a report says. methods and provenance: name -> text; settings that results depend on go to methods."""

    title: str
    summary: Sequence[str]
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    warnings: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=lambda: dict(METHODS))
    provenance: Mapping[str, str] = field(default_factory=dict)


def render(report: Report) -> str:
    """The report as HTML; the same report gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    environment.filters["pixels"] = lambda image: int.from_bytes(image[16:20], "big")  # the width, in a PNG's header
    environment.filters["csv"] = lambda table: tables.to_csv(table).encode()
    return environment.get_template(TEMPLATE).render(report=report)


def write(path: Path, report: Report) -> None:
    """Write `render(report)` to `path`, as UTF-8."""
    files.write_bytes(path, render(report).encode())
