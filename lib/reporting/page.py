"""One self-contained HTML report: figures as base64 PNG, tables with their CSV embedded; it needs no network.

Beside the HTML lie `report.json`, the same content for the report over all sweeps (lib.studies.overview), and every
shown table as Markdown and LaTeX.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.base import files, places
from lib.base.errors import TesseraError
from lib.reporting import frames, paper_tables

FOLDER = Path(__file__).parent
TEMPLATE = "page.html.j2"
METHODS = {
    "AUC": "Area under the ROC curve, P(member > non-member) + P(equal) / 2. Every score is oriented so that higher "
    "means member.",
    "Intervals": "95 % percentile bootstrap over canaries, members and non-members drawn apart; settings over the same "
    "canaries share their draws, so the interval of ρ goes through the whole exact curve. Figures show this interval "
    "for one seed, and the mean with one standard deviation (ddof 0) over several.",
    "Intervals over seeds": "The t interval of the mean over seeds (columns named seeds), kept apart from that over "
    "canaries: what training, order and another draw of canaries change. One seed has none.",
    "Comparisons": "Two settings over the same canaries: the difference of their ρ over shared bootstrap draws, p "
    "twice the smaller share of draws on one side of 0, as (k + 1) / (draws + 1), or, where that is fewer than 10 "
    "draws, by a z test with their mean and standard deviation. Two attacks: DeLong's paired test. Where several are "
    "compared, p by Holm's step-down method stands beside it.",
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

    @property
    def csv(self) -> bytes:
        """The whole table as CSV."""
        return frames.to_csv(self.whole).encode()

    @property
    def n_rows(self) -> int:
        """The rows of the whole table."""
        return len(self.whole)


@dataclass(frozen=True)
class ReadTable:
    """A `ReportTable` as `read` finds it: the whole table is its CSV alone."""

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    csv: bytes
    n_rows: int


@dataclass(frozen=True)
class Report:
    """Everything a report says. methods and provenance: name -> text; settings that results depend on go to methods."""

    title: str
    summary: Sequence[str]
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable | ReadTable] = ()
    warnings: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=lambda: dict(METHODS))
    provenance: Mapping[str, str] = field(default_factory=dict)


def render(report: Report) -> str:
    """The report as HTML; the same report gives the same text."""
    return environment().get_template(TEMPLATE).render(report=report)


def environment(folder: Path = FOLDER) -> Environment:
    """Templates of `folder` and of this one, with the filters that they use."""
    found = Environment(
        loader=FileSystemLoader([folder, FOLDER]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters["base64"] = lambda data: base64.b64encode(data).decode()
    found.filters["pixels"] = lambda image: int.from_bytes(image[16:20], "big")  # the width, in a PNG's header
    found.filters["numeric"] = lambda table: paper_tables.numeric_columns(table.header, table.rows)
    return found


def write(path: Path, report: Report) -> None:
    """Write `render(report)` to `path`, what `read` wants beside it, and the shown tables to the folder of tables."""
    for table in report.tables:
        if table.rows:
            caption = table.caption.removesuffix(" All rows:")  # which a link follows
            paper_tables.write(path.parent / places.TABLES / table.name, table.header, table.rows, caption)
    files.write_bytes(path.with_suffix(".json"), json.dumps(_content(report), ensure_ascii=False).encode())
    files.write_bytes(path, render(report).encode())


def read(path: Path) -> Report:
    """The report that `write` wrote as `path` (report.json). Raises TesseraError for what is no such file."""
    try:
        content = json.loads(path.read_bytes())
        figures = [ReportFigure(**{**item, "png": base64.b64decode(item["png"])}) for item in content.pop("figures")]
        read = [ReadTable(**{**item, "csv": item["csv"].encode()}) for item in content.pop("tables")]
        return Report(**content, figures=figures, tables=read)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TesseraError(f"{path}: no report ({error}); collect its sweep again") from error


def _content(report: Report) -> dict[str, Any]:
    texts = {name: list(getattr(report, name)) for name in ("summary", "warnings")}
    pairs = {name: dict(getattr(report, name)) for name in ("methods", "provenance")}
    columns = ("name", "caption", "header", "rows", "n_rows")
    return {
        "title": report.title, **texts, **pairs,
        "figures": [{**vars(item), "png": base64.b64encode(item.png).decode()} for item in report.figures],
        "tables": [
            {**{name: getattr(item, name) for name in columns}, "csv": item.csv.decode()} for item in report.tables
        ],
    }  # fmt: skip
