"""One self-contained HTML report that needs no network: figures as SVG, tables with their CSV embedded.

Its script sorts and filters tables and copies texts; without it the page reads the same.

Beside the HTML are `report.json`, the same content for the report over all sweeps (lib.studies.overview), and every
shown table as Markdown and LaTeX.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lib.base import files, places
from lib.base.errors import TesseraError
from lib.reporting import excerpts, frames, heat_maps, paper_tables, vector
from lib.reporting.cells import TextTable, is_marked
from lib.reporting.excerpts import Excerpt
from lib.reporting.heat_maps import HeatMaps

FOLDER = Path(__file__).parent
TEMPLATE = "page.html.j2"
METHODS = {
    "AUC": "Area under the ROC curve: P(member > non-member) + P(equal) / 2. A higher score always means member.",
    "Intervals": "95 % percentile bootstrap over canaries, of 1,000 draws. Members and non-members are resampled "
    "separately. Settings over the same canaries share their draws, so the interval of ρ includes the uncertainty of "
    "the exact curve. For one seed, figures show this interval; for several seeds, they show the mean and one standard "
    "deviation (ddof 0).",
    "Intervals over seeds": "The t interval of the mean over seeds (columns named seeds). It covers what changes from "
    "seed to seed: training, the order of the text and the draw of canaries. It is reported separately from the "
    "interval over canaries. Columns named std are the standard deviation over seeds (ddof 0, as published). Both are "
    "empty for a single seed.",
    "Comparisons": "Two settings over the same canaries are compared by the difference of their ρ over shared "
    "bootstrap draws. p is twice the smaller share of draws on one side of 0, as (k + 1) / (draws + 1). With fewer "
    "than 10 draws on that side, p comes from a z test with the mean and standard deviation of the draws. Two attacks "
    "are compared by DeLong's paired test. The second p is corrected for the number of comparisons by Holm's step-down "
    "method.",
    "TPR at FPR": "The largest true-positive rate at a threshold whose false-positive rate does not exceed the target. "
    "With n non-members that rate is a multiple of 1 / n: with fewer than 1,000 of them, tpr_at_fpr_0.001 is the "
    "true-positive rate without any false positive, and with fewer than 100 so is tpr_at_fpr_0.01.",
    "ρ": "(ν_eq - 1) / (ν_max - 1). ν_eq is the number of exact copies with the same AUC as the fuzzy duplicates.",
    "ρ, isotonic": "The exact curve is fitted by isotonic regression and inverted by linear interpolation. ν_eq is "
    "limited to [1, ν_max].",
    "ρ, paper": "The published estimator. The curve is interpolated at every integer ν, smoothed by a moving average "
    "of width 3 (end points kept) and inverted by linear interpolation at its last crossing. An AUC above its last "
    "value is extrapolated by the mean absolute slope of the last 3 steps, one below its first value along the first "
    "step. ν_eq is at least 1.",
}


@dataclass(frozen=True)
class ReportFigure:
    """A figure (one <svg> element) with its title, what it shows in a sentence (may be empty), and the caption that
    explains it."""

    title: str
    caption: str
    svg: str
    finding: str = ""


@dataclass(frozen=True)
class ReportTable:
    """A table that is shown (header, rows of text), and the whole one behind it: its CSV, saved as `<name>.csv`, and
    the number of its rows. `report_table` makes one."""

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_rows: int
    csv: bytes


@dataclass(frozen=True)
class Report:
    """Everything a report says. methods and provenance: name -> text; exact settings are among the methods.

    paragraph: the methods in prose, to copy. run: the map of the run, a row for each stage. bibtex: entries to cite.
    files: what lies beside the report, relative to it.
    identity: label -> text, the head of the page; stamp: the comments at the head of its tables as text.
    """

    title: str
    summary: Sequence[str]
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    warnings: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=lambda: dict(METHODS))
    provenance: Mapping[str, str] = field(default_factory=dict)
    paragraph: str = ""
    run: TextTable = field(default_factory=lambda: ([], []))
    bibtex: str = ""
    files: Sequence[str] = ()
    excerpts: Sequence[Excerpt] = ()
    heat_maps: Sequence[HeatMaps] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    stamp: Sequence[str] = ()


def report_table(name: str, caption: str, shown: TextTable, whole: pd.DataFrame) -> ReportTable:
    """A table of a report. shown: what of it the report shows; whole: what can be saved as `<name>.csv`."""
    return ReportTable(name, caption, *shown, len(whole), frames.to_csv(whole).encode())


def render(report: Report) -> str:
    """The report as HTML; the same report gives the same text."""
    return environment().get_template(TEMPLATE).render(report=report)


def opened(title: str) -> str:
    """A title that begins with a capital, unless it begins with a symbol: ρ stays as it is."""
    return title[:1].upper() + title[1:] if title[:1].isascii() else title


def environment(folder: Path = FOLDER) -> Environment:
    """Templates of `folder` and of this one, with the filters that they use."""
    found = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["opened"] = opened
    found.filters["base64"] = lambda data: base64.b64encode(data).decode()
    found.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    found.filters["own_ids"] = lambda svg, prefix: Markup(vector.own_ids(svg, prefix))
    found.filters["width"] = lambda svg: re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0]  # in points
    found.filters["numeric_columns"] = lambda table: paper_tables.numeric_columns(*table)
    found.filters["legend"], found.filters["visible"] = excerpts.legend, excerpts.visible
    found.filters["heat"] = heat_maps.html
    found.tests["marked"] = is_marked
    found.filters["numeric"] = lambda table: paper_tables.numeric_columns(table.header, table.rows)
    return found


def write(path: Path, report: Report) -> None:
    """Write `render(report)` to `path`, what `read` reads beside it, and every shown table as Markdown and LaTeX."""
    for table in report.tables:
        if table.rows:
            caption = table.caption.removesuffix(" All rows:")  # a link follows it in the HTML
            stem = path.parent / places.TABLES / table.name
            paper_tables.write(stem, table.header, table.rows, caption, path.parent.name, report.stamp)
    files.write_bytes(path.with_suffix(".json"), json.dumps(_content(report), ensure_ascii=False).encode())
    files.write_bytes(path, render(report).encode())


def read(path: Path) -> Report:
    """The report that `write` wrote as `path` (report.json). Raises TesseraError for any other file, OSError for
    one that cannot be read."""
    try:
        content = json.loads(path.read_bytes())
        figures = [ReportFigure(**item) for item in content.pop("figures")]
        tables = [ReportTable(**{**item, "csv": item["csv"].encode()}) for item in content.pop("tables")]
        texts = [excerpts.from_plain(item) for item in content.pop("excerpts", [])]
        heat = [heat_maps.from_plain(item) for item in content.pop("heat_maps", [])]
        return Report(**content, figures=figures, tables=tables, excerpts=texts, heat_maps=heat)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TesseraError(f"{path}: not a report ({error}); collect its sweep again") from error


def _content(report: Report) -> dict[str, Any]:
    figures = [vars(item) for item in report.figures]
    tables = [{**vars(item), "csv": item.csv.decode()} for item in report.tables]
    texts = [excerpts.plain(item) for item in report.excerpts]
    heat = {"heat_maps": [heat_maps.plain(item) for item in report.heat_maps]} if report.heat_maps else {}
    rest = {name: value for name, value in vars(report).items() if name != "heat_maps"}
    return {**rest, "figures": figures, "tables": tables, "excerpts": texts, **heat}
