"""What the extraction sweep hands over: its table (CSV and HDF5), figures (PNG and PDF), the report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.base import places
from lib.reporting import drawing, writer
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.extraction.tables import LIKELY, Extracted, summary, table
from lib.studies.mosaic import words

PUBLISHED = places.PUBLISHED / "mosaic_extraction.csv"
METHODS = {
    "Extraction": "The first tokens of a canary are the prompt; the fine-tuned model goes on greedily. Compared with "
    "the tokens that come next in the canary: exact (all of them), matched (the share before the first wrong one), "
    "edit similarity (1 - Levenshtein distance / length, in tokens), smoothed BLEU over token ids.",
    "(n, p)-discoverable": "extractable n: the share of canaries whose suffix is among n samples from the model's own "
    f"distribution with probability {LIKELY:g} or more (ln(1 - p) / ln(1 - p_z) <= n).",
    "Intervals": "Of one seed: 95 % over canaries (Wilson's for shares, bootstrap for means). Of the mean over seeds: "
    "95 % t interval over seeds. Members and non-members are the same canaries in every setting.",
}
LINES = {"edit_similarity": "edit similarity", "bleu": "BLEU", "exact": "exact"}
CAPTION = (
    "Bars are 95 % intervals (over canaries for one seed, over seeds for several). Dotted: the edit similarity of "
    "non-members, which were never injected. Grey: the published edit similarity, of one seed, where there is one."
)


def write(root: Path, name: str, records: Sequence[Extracted], description: Description) -> pd.DataFrame:
    """Write the results of sweep `name` under `root`; returns its table. The same arguments give the same bytes."""
    found = table(records)
    results = Results(
        {"extraction": found}, list(draw(found)), _shown_tables(found), list(in_words(found)), warnings(found), METHODS
    )
    writer.write(root, name, results, description)
    return found


def draw(found: pd.DataFrame) -> Iterator[Drawn]:
    """One figure a kind: the measures against its level, one panel a model."""
    for kind in sorted(set(found["kind"])):
        title = f"Extraction against {words.level_name(kind)}"
        yield Drawn(f"extraction_{kind}", title, CAPTION, _figure(found[found["kind"] == kind], kind))


def _figure(rows: pd.DataFrame, kind: str) -> Figure:
    rows = rows[rows["setting"] == words.ordered_settings(rows["setting"])[0]]
    published = pd.read_csv(PUBLISHED)
    published = published[published["kind"] == kind]

    def panel(axes: Axes, model: str) -> None:
        mine = _shown(rows[rows["model"] == model])
        if len(published):
            axes.plot(
                published["level"], published["edit_similarity"], color="#9a9a9a", linewidth=3, alpha=0.6, marker="s",
                label=f"published ({published['model'].iloc[0]})",
            )  # fmt: skip
        for (measure, label), style in zip(LINES.items(), drawing.LINES):
            _line(axes, mine[(mine["measure"] == measure) & (mine["side"] == "members")], label, style)
        others = mine[(mine["measure"] == "edit_similarity") & (mine["side"] == "non_members")]
        _line(axes, others, "non-members", (drawing.GREY, "x", ":"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawing.widen(axes, -0.02, 0.3)

    return drawing.panels(list(dict.fromkeys(rows["model"])), panel, words.level_name(kind), "share, similarity")


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The means over seeds where there are several, the rows of the one seed, with its interval, where there is one."""
    several = rows[rows["seed"].isna() & (rows["n_seeds"] > 1)]
    return several if len(several) else rows[rows["seed"].notna()]


def _line(axes: Axes, rows: pd.DataFrame, label: str, style: tuple[str, str, str]) -> None:
    rows = rows.sort_values("level")
    level, value, low, high = rows[["level", "value", "low", "high"]].to_numpy(dtype=np.float64).T
    bars = np.clip([value - low, high - value], 0, None)
    colour, marker, dash = style
    axes.errorbar(level, value, bars, color=colour, marker=marker, linestyle=dash, elinewidth=0.5, label=label)


def in_words(found: pd.DataFrame) -> Iterator[str]:
    """What a reader should take from the table: the most and the least injected setting of each model and kind."""
    means = found[found["seed"].isna() & (found["measure"] == "edit_similarity")]
    for (model, kind, setting), rows in means.groupby(["model", "kind", "setting"]):
        members, others = (rows[rows["side"] == side].sort_values("level") for side in ("members", "non_members"))
        first, last = members.iloc[0], members.iloc[-1]
        of = f" ({setting})" if setting else ""
        yield (
            f"{model}{of}, {words.level_name(kind)}: edit similarity of members {first['value']:.3f} at "
            f"{first['level']:g} and {last['value']:.3f} at {last['level']:g}; of non-members "
            f"{others['value'].mean():.3f} on average."
        )


def warnings(found: pd.DataFrame) -> list[str]:
    """What makes a number weaker than it looks."""
    exact = found[(found["measure"] == "exact") & found["seed"].isna() & (found["side"] == "members")]
    said = [] if exact["value"].any() else ["No model repeated the whole suffix of any canary."]
    return [
        *said,
        "The published figures are of one seed; its BLEU is unsmoothed, over words: compare its shape alone.",
    ]


def _shown_tables(found: pd.DataFrame) -> list[ReportTable]:
    caption = "Members, means over seeds. in n: extractable within n samples. All rows:"
    published = pd.read_csv(PUBLISHED)
    rows = [list(map(str, row)) for row in published.itertuples(index=False)]
    return [
        report_table("extraction", caption, summary(found), found),
        report_table("published", "Published, one seed:", (list(published.columns), rows), published),
    ]
