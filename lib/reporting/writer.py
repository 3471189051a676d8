"""The one writer of results for all studies: tables (CSV, HDF5), figures (SVG, PDF, PNG) and the report of a sweep."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lib.base import files, places
from lib.reporting import citations, drawing, frames, page, paper_tables, series
from lib.reporting.cells import TextTable
from lib.reporting.excerpts import Excerpt
from lib.reporting.heat_maps import HeatMaps
from lib.reporting.page import ReportFigure, ReportTable


@dataclass(frozen=True)
class Description:
    """What a report says beside the numbers.

    settings: exact settings that results depend on, shown with the methods. excerpts: texts that results rest on;
    heat_maps: whole ones.
    warnings: of the caller, such as missing tasks. paragraph: the methods in prose. run: the map of the run. cites: the
    study, for the BibTeX. identity, stamp: see page.Report. record: the content of run.json, which says that a run has
    results; without it there is no such file. caveat: what is said before the caption of every figure and table.
    """

    title: str
    summary: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    paragraph: str = ""
    run: TextTable = field(default_factory=lambda: ([], []))
    cites: Sequence[str] = ()
    excerpts: Sequence[Excerpt] = ()
    heat_maps: Sequence[HeatMaps] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    stamp: Sequence[str] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    caveat: str = ""


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, and what the report says of it.

    finding: what it shows in a sentence; by default what its lines say (lib.reporting.series).
    """

    name: str
    title: str
    caption: str
    figure: Figure
    finding: str = ""


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
    figures = [_figure(folder, drawn, description.caveat) for drawn in results.figures]
    report = page.Report(
        title=description.title,
        summary=[*description.summary, *results.findings],
        figures=figures,
        tables=[replace(one, caption=_caption(description.caveat, one.caption)) for one in results.shown],
        excerpts=description.excerpts,
        heat_maps=description.heat_maps,
        warnings=[*description.warnings, *results.warnings],
        methods={**results.methods, **description.settings},
        provenance=description.provenance,
        paragraph=description.paragraph,
        run=description.run,
        bibtex=citations.bibtex({*description.cites, *_attacks(results)}),
        files=_files(results),
        identity=description.identity,
        stamp=description.stamp,
    )
    page.write(places.report(root, name), report)
    if description.record:
        text = json.dumps(description.record, indent=1, sort_keys=True)
        files.write_bytes(places.run_record(root, name), f"{text}\n".encode())


def _figure(folder: Path, drawn: Drawn, caveat: str) -> ReportFigure:
    svg = drawing.save(drawn.figure, folder, drawn.name)
    finding = drawn.finding or series.finding(drawn.figure)
    if finding:  # stands before the caption
        return ReportFigure(drawn.title, drawn.caption, svg, _caption(caveat, finding))
    return ReportFigure(drawn.title, _caption(caveat, drawn.caption), svg)


def _caption(caveat: str, caption: str) -> str:
    return f"{caveat} {caption}".strip()


def _attacks(results: Results) -> set[str]:
    """The attacks that any table names."""
    return {str(name) for table in results.tables.values() if "attack" in table for name in table["attack"].unique()}


def _files(results: Results) -> list[str]:
    """What lies beside the report, relative to it."""
    tables = [f"{places.TABLES}/{name}{suffix}" for name in results.tables for suffix in (".csv", ".h5")]
    stems = [stem for one in results.shown if one.rows for stem in paper_tables.names(one.name, one.rows)]
    shown = [f"{places.TABLES}/{stem}{suffix}" for stem in stems for suffix in paper_tables.SUFFIXES]
    drawn = [f"{places.FIGURES}/{one.name}{suffix}" for one in results.figures for suffix in drawing.SUFFIXES]
    return [places.REPORT_DATA, *tables, *shown, *drawn]


def write_table(stem: Path, table: pd.DataFrame) -> None:
    """Write `<stem>.csv` and `<stem>.h5` and missing folders."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    frames.write_csv(stem.with_suffix(".csv"), table)
    frames.write_hdf5(stem.with_suffix(".h5"), table)
