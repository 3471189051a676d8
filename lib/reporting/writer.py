"""The one writer of results for all studies: tables (CSV, HDF5), figures (PNG, PDF) and the report of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lib.base import places
from lib.reporting import drawing, frames, page
from lib.reporting.page import ReportFigure, ReportTable


@dataclass(frozen=True)
class Description:
    """What a report says beside the numbers.

    settings: exact settings that results depend on, shown with the methods. warnings: of the caller, such as missing
    tasks. identity, stamp: see page.Report.
    """

    title: str
    summary: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    stamp: Sequence[str] = ()


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, and what the report says of it."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Results:
    """What a study has found. tables: name -> whole table, written to files. shown: what the report shows of them.

    findings and warnings: in sentences; methods: name -> text.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Sequence[Drawn]
    shown: Sequence[ReportTable]
    findings: Sequence[str]
    warnings: Sequence[str]
    methods: Mapping[str, str]


def write(root: Path, name: str, results: Results, description: Description) -> None:
    """Write the results of sweep `name` under `root`. The same arguments give the same bytes.

    Raises TesseraError when a file cannot be written.
    """
    for table_name, table in results.tables.items():
        write_table(places.tables(root, name) / table_name, table)
    folder = places.figures(root, name)
    figures = [
        ReportFigure(drawn.title, drawn.caption, drawing.save(drawn.figure, folder, drawn.name))
        for drawn in results.figures
    ]
    report = page.Report(
        title=description.title,
        summary=[*description.summary, *results.findings],
        figures=figures,
        tables=results.shown,
        warnings=[*description.warnings, *results.warnings],
        methods={**results.methods, **description.settings},
        provenance=description.provenance,
        identity=description.identity,
        stamp=description.stamp,
    )
    page.write(places.report(root, name), report)


def write_table(stem: Path, table: pd.DataFrame) -> None:
    """Write `<stem>.csv` and `<stem>.h5` and missing folders."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    frames.write_csv(stem.with_suffix(".csv"), table)
    frames.write_hdf5(stem.with_suffix(".h5"), table)
