"""The results of the dedup sweep: tables (CSV, HDF5), a figure (PNG, PDF) and the report."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.reporting import drawing, writer
from lib.reporting.cells import TextTable, percent, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.dedup import findings

SHOWN_TEXTS = 20
METHODS = {
    "Exact duplicates": "Equal windows of `length` tokens inside single documents, of all chunks together. keep: one "
    "leaves the first window of the corpus; of a window that overlaps the first one only the part behind it goes. So "
    "no window is twice in what stays, and for every token that goes an earlier one stays that has it in an equal "
    "window.",
    "The other corpus": "A window that also stands in the corpus `against` goes, however often it stands in the first.",
    "Given texts": "Each is cut into windows, one behind another; windows of the corpus within `max_distance` edits "
    "(Levenshtein, none overlapping another) are counted, those within `near_distance` go.",
    "Cuts": "Cuts that touch are one; its cause is that of all its windows, its number of copies that of the window "
    "with the most. Tokens are cut as bytes of the text, at borders of characters: a character of which one token "
    "goes, goes whole. Between two pieces that stay stands `separator`.",
    "Rounds": "What is left is tokenised again, and has other tokens where it was cut; a window that is completed "
    "there and stands elsewhere goes in the second round, by the same rules.",
    "Copies' worth": "Each near-duplicate counts as ρ of its distance, as a share of the window: the published ρ of "
    "replaced tokens (GPT-Neo 1.3B, ratio attack, mean of 5 seeds), straight lines between the published levels, 1 for "
    "an exact copy, 0 where nothing is equal.",
}
FIGURE = "Tokens that went in the first round, by the number of equal windows (of the window with the most in a cut)."


def write(root: Path, name: str, found: dict[str, pd.DataFrame], keep: str, description: Description) -> None:
    """Write the results of sweep `name` under `root`; found: the tables by name.

    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    sentences, warnings = findings.in_words(found, keep), findings.warnings(found, keep)
    writer.write(
        root, name, Results(found, draw(found["removed"]), shown(found), sentences, warnings, METHODS), description
    )


def draw(removed: pd.DataFrame) -> list[Drawn]:
    """Tokens by number of copies, if any of a known number went."""
    known = removed[(removed["copies"] != "") & (removed["round"] == 1)]
    by_copies = known.groupby("copies", sort=False)["gone_tokens"].sum()
    if by_copies.empty:
        return []
    by_copies = by_copies.loc[sorted(by_copies.index, key=lambda words: (len(words), words))]
    finding = (
        f"Most of the tokens that went as duplicates, {by_copies.max():,}, stood there {by_copies.idxmax()} times."
    )
    figure = _figure(list(by_copies.index), by_copies.to_numpy(float))
    return [Drawn("removed", "What went", FIGURE, figure, finding)]


def _figure(labels: list[str], tokens: np.ndarray) -> Figure:
    def panel(axes: Axes, title: str) -> None:
        axes.bar(np.arange(len(labels)), tokens, color="#0072B2", label="tokens that went")
        axes.set_xticks(np.arange(len(labels)), labels)

    return drawing.panels(["exact duplicates"], panel, "equal windows in the corpus", "tokens")


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: what went, by cause and number of copies."""
    header = ["round", "cause", "copies", "cuts", "tokens", "of all"]
    rows = [
        [
            str(row["round"]),
            row["cause"],
            row["copies"],
            f"{row['cuts']:,}",
            f"{row['gone_tokens']:,}",
            percent(row["gone_share"]),
        ]
        for _, row in found["removed"].iterrows()
    ]
    return header, rows


def shown(found: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """What the report shows of the tables."""
    listed = [
        report_table("removed", "What went, by round, cause and number of copies:", summary(found), found["removed"])
    ]
    if "contamination" in found:
        caption = (
            f"Given texts, at most {SHOWN_TEXTS}, the most contaminated first; means over the windows of each. All:"
        )
        listed.append(report_table("contamination", caption, _texts(found["contamination"]), found["contamination"]))
    return listed


def _texts(table: pd.DataFrame) -> TextTable:
    header = ["text", "windows", "with exact copies", "exact copies", "near-duplicates", "copies' worth", "nearest"]
    most = table[table["windows"] > 0].sort_values("worth", ascending=False, kind="stable").head(SHOWN_TEXTS)
    rows = [
        [
            *(row["text"], str(row["windows"]), percent(row["covered"])),
            *(short(row[name]) for name in ("exact", "near", "worth")),
            "" if pd.isna(row["nearest"]) else str(row["nearest"]),
        ]
        for _, row in most.iterrows()
    ]
    return header, rows
