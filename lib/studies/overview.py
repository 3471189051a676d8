"""The report over all sweeps: what a run of each one left under `sweeps/`, in one self-contained HTML.

It computes nothing and collects nothing: a run that is finished but not collected is named in its warnings.
`rho_over_all` is the one long table of rho, with the published mean and standard deviation beside ours where the
duplicates of a sweep were made like the published ones.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lib.base import files, places
from lib.base.errors import TesseraError
from lib.plans import runs
from lib.reporting import frames, page, paper_tables
from lib.reporting.cells import TextTable, estimate, mark, number, without_empty
from lib.reporting.page import Report, ReportTable, report_table
from lib.studies import collected
from lib.studies.collect import SMOKE
from lib.studies.collected import Collected
from lib.studies.mosaic import demo, published, rho_table, words
from lib.studies.mosaic.words import CORRECTED, PAPER

FOLDER = Path(__file__).parent
TEMPLATE = "overview.html.j2"
TITLE = "Tessera: every sweep"
SETTING = list(published.BESIDE_COLUMNS[:4])
PUBLISHED_COLUMNS = published.BESIDE_COLUMNS[4:]
CAPTION = (
    "ρ of every setting over all sweeps: ratio attack (where a sweep has no ratio, the first attack of the list), "
    "corrected scores, mean over as many seeds as stand there, with its 95 % interval over canaries. † is no result: "
    "its run is of profile smoke, or see the warnings of its sweep. s: standard deviation over seeds (ddof 0). "
    "Published: mean and s of 5 seeds by the paper estimator; compare them with ours by the same estimator."
)
HEADER = [
    "kind", "setting", "level", "model", "sweep", "profile", "seeds", "ρ isotonic", "s", "ρ paper", "published",
    "published s", "published of",
]  # fmt: skip


@dataclass(frozen=True)
class Overview:
    """What the template shows: for each run its report, what of its summary is a result, and its own settings; methods
    and tables of all."""

    summary: Sequence[str]
    said: Mapping[str, Sequence[str]]
    warnings: Sequence[str]
    sweeps: Mapping[str, Report]
    settings: Mapping[str, Mapping[str, str]]
    methods: Mapping[str, str]
    runs: ReportTable
    tables: Sequence[ReportTable] = ()
    title: str = field(default=TITLE)


def write(root: Path, asked: Sequence[str] = ()) -> Path:
    """Write report.html, rho.csv, rho.md and rho.tex under `<root>/report`; returns the HTML's path.

    asked: the runs to show; of other sweeps it is the default run, or else the newest. The same collected runs give the
    same bytes. Raises TesseraError when no sweep is collected, or a file is damaged, and UsageError for a run that is
    not there.
    """
    every = collected.find(root)
    chosen = collected.chosen(every, asked)
    found = {run.name: page.read(places.report_data(root, run.name)) for run in chosen}
    if not found:
        raise TesseraError(f"{root}: no sweep is collected; run one (`make sweep-<name>`) or `make tables-<name>`")
    long = rho_over_all(root, chosen)
    folder = places.overview(root)
    if len(long):
        files.write_bytes(folder / "rho.csv", frames.to_csv(long).encode())
        paper_tables.write(folder / "rho", *shown(long), CAPTION, folder.name, [f"runs: {', '.join(found)}"])
    warnings = collected.warnings(root, every, chosen)
    said = {run.name: found[run.name].summary if run.is_result else [SMOKE] for run in chosen}
    overview = _overview(found, said, long, collected.table(every, chosen), warnings)
    html = page.environment(FOLDER).get_template(TEMPLATE).render(overview=overview)
    files.write_bytes(folder / "report.html", html.encode())
    return folder / "report.html"


def rho_over_all(root: Path, shown: Sequence[Collected]) -> pd.DataFrame:
    """The rho tables of the runs that have one, below each other, those with published figures first, those of profile
    smoke last.

    Columns: `sweep`, `profile`, rho_table.COLUMNS and PUBLISHED_COLUMNS, which only means of the ratio attack by the
    paper estimator have, and no run of profile smoke. Without any such table it has no rows.
    """
    having = [run for run in shown if (places.tables(root, run.name) / "rho.csv").is_file()]
    having.sort(key=lambda run: (not run.is_result, not _compared(root, run)))
    parts = [_rho_of(root, run) for run in having]
    columns = ["sweep", "profile", *rho_table.COLUMNS, *PUBLISHED_COLUMNS]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _rho_of(root: Path, run: Collected) -> pd.DataFrame:
    rho = frames.read_csv(places.tables(root, run.name) / "rho.csv")
    rho.insert(0, "sweep", run.name)
    rho.insert(1, "profile", run.profile)
    if not _compared(root, run):
        return rho.assign(published_source="", published_mean=float("nan"), published_std=float("nan"))
    file = places.tables(root, run.name) / places.PUBLISHED_CURVES
    theirs = pd.read_csv(file, keep_default_na=False, na_values={"published_std": ""})
    return published.join(rho, theirs)


def _compared(root: Path, run: Collected) -> bool:
    """Whether a run is compared with published values: it has some, is not made of them, and means something."""
    has_some = (places.tables(root, run.name) / places.PUBLISHED_CURVES).is_file()
    return has_some and run.name != demo.NAME and run.is_result


def shown(long: pd.DataFrame) -> TextTable:
    """What is shown of the long table: a row for each setting, from the first sweep that has it. Values of profile
    smoke are marked. Columns of HEADER that would be empty are left out."""
    means = long[long["seed"].isna()]
    sweeps = [_main_attack(rows) for _, rows in means.groupby("sweep", sort=False)]
    rows = pd.concat(sweeps) if sweeps else means
    settings = rows.groupby(["kind", "setting", "model", "level"], sort=False)
    order = {setting: i for i, setting in enumerate(words.ordered_settings(rows["setting"]))}
    found = sorted(settings, key=lambda item: (item[0][0], order[item[0][1]], *item[0][2:]))
    lines = [_cells(rows[rows["sweep"] == rows["sweep"].iloc[0]].set_index("estimator")) for _, rows in found]
    return without_empty((HEADER, lines))


def _main_attack(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one attack and one variant of a sweep: the main attack and corrected, if it has them."""
    variant = CORRECTED if (rows["variant"] == CORRECTED).any() else PAPER
    rows = rows[rows["variant"] == variant]
    return rows[rows["attack"] == words.main_attack(set(rows["attack"]))]


def _cells(estimates: pd.DataFrame) -> list[str]:
    """The cells of one setting. estimates: one row per estimator."""
    isotonic, paper = estimates.loc["isotonic"], estimates.loc[PAPER]
    marked = rho_table.flagged(estimates) | (isotonic["profile"] == runs.SMOKE)
    rho, low, high = isotonic["rho"], isotonic["rho_low"], isotonic["rho_high"]
    spread = number(isotonic["rho_std"]) if isotonic["n_seeds"] > 1 else ""
    return [
        str(isotonic["kind"]), str(isotonic["setting"]), f"{isotonic['level']:g}",
        *map(str, isotonic[["model", "sweep", "profile", "n_seeds"]]),
        estimate(rho, low, high, marked["isotonic"]), mark(spread, marked["isotonic"]),
        mark(number(paper["rho"]), marked[PAPER]), *map(number, (paper["published_mean"], paper["published_std"])),
        published.model_of(str(paper["published_source"]), str(isotonic["model"])),
    ]  # fmt: skip


def _overview(
    found: Mapping[str, Report],
    said: Mapping[str, Sequence[str]],
    long: pd.DataFrame,
    listed: ReportTable,
    warnings: Sequence[str],
) -> Overview:
    common = _common(found)
    own = {
        name: {key: text for key, text in given.methods.items() if key not in common} for name, given in found.items()
    }
    tables = [report_table("rho", CAPTION, shown(long), long)] if len(long) else []
    return Overview(_summary(found, long), said, warnings, found, own, common, listed, tables)


def _common(found: Mapping[str, Report]) -> dict[str, str]:
    """The methods with one text in every sweep that has them, at least two sweeps if there are two."""
    counts = Counter(item for given in found.values() for item in given.methods.items())
    texts = Counter(name for name, _ in counts)
    enough = min(2, len(found))
    return {name: text for (name, text), count in counts.items() if count >= enough and texts[name] == 1}


def _summary(found: Mapping[str, Report], long: pd.DataFrame) -> list[str]:
    sweeps = "1 sweep is" if len(found) == 1 else f"{len(found)} sweeps are"
    texts = [f"{sweeps} collected: {', '.join(found)}."]
    long = long[long["profile"] != runs.SMOKE]
    means = long[long["seed"].isna() & (long["estimator"] == PAPER)].drop_duplicates([*SETTING, "attack", "variant"])
    if len(means):
        settings = len(means.drop_duplicates(SETTING))
        texts.append(f"They have ρ of {settings} setting{'' if settings == 1 else 's'}.")
    for source, rows in means[means["published_mean"].notna()].groupby("published_source"):
        rows = rows[rows["variant"] == CORRECTED] if (rows["variant"] == CORRECTED).any() else rows
        gaps = (rows["rho"] - rows["published_mean"]).dropna()
        texts.append(_beside(str(source), len(rows), gaps))
    return texts


def _beside(source: str, settings: int, gaps: pd.Series) -> str:
    """How far our rho is from the published one, in a sentence or two."""
    same_model = source == published.LABEL
    whose = "of the same model" if same_model else f"of another model ({published.model_of(source, '')})"
    text = f"{settings} of them {'has' if settings == 1 else 'have'} a published counterpart {whose}"
    if gaps.empty:
        return f"{text}; ρ is not known yet."
    text += f"; by the same estimator the mean absolute difference of ρ is {gaps.abs().mean():.3f}"
    text += f" (mean difference {gaps.mean():+.3f})."
    return text if same_model else f"{text} Compare the order of the settings, not the values."
