"""The report over all sweeps: what a run of each one left under `sweeps/`, in one self-contained HTML.

It computes nothing and collects nothing: a run that is finished but not collected is named in its warnings.
`rho_over_all` is the one long table of rho, with the published mean and standard deviation beside ours where the
duplicates of a sweep were made like the published ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lib.base import files, places
from lib.base.errors import TesseraError
from lib.reporting import frames, page, paper_tables
from lib.reporting.cells import TextTable, interval, mark, number
from lib.reporting.page import Report, ReportTable, report_table
from lib.studies import collected
from lib.studies.mosaic import demo, published, rho_table, words
from lib.studies.mosaic.words import CORRECTED, PAPER

FOLDER = Path(__file__).parent
TEMPLATE = "overview.html.j2"
TITLE = "Tessera: every sweep"
SETTING = list(published.BESIDE_COLUMNS[:4])
PUBLISHED_COLUMNS = published.BESIDE_COLUMNS[4:]
CAPTION = (
    "ρ of every setting over all sweeps: ratio attack (where a sweep has no ratio, the first attack of the list), "
    "corrected scores, mean over seeds. Interval: 95 % over canaries. † is no result (see the warnings of its sweep). "
    "s: standard deviation over seeds (ddof 0). Published: mean and s of 5 seeds by the paper estimator; compare them "
    "with ours by the same estimator."
)
HEADER = [
    "kind", "setting", "level", "model", "sweep", "seeds", "ρ isotonic", "interval", "s", "ρ paper",
    "published", "published s", "published of",
]  # fmt: skip


@dataclass(frozen=True)
class Overview:
    """What the template shows: for each run its report and its own settings; methods and tables of all."""

    summary: Sequence[str]
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
    long = rho_over_all(root, found)
    folder = places.overview(root)
    if len(long):
        files.write_bytes(folder / "rho.csv", frames.to_csv(long).encode())
        paper_tables.write(folder / "rho", *shown(long), CAPTION, folder.name, [f"runs: {', '.join(found)}"])
    warnings = collected.warnings(root, every, chosen)
    overview = _overview(found, long, collected.table(every, chosen), warnings)
    html = page.environment(FOLDER).get_template(TEMPLATE).render(overview=overview)
    files.write_bytes(folder / "report.html", html.encode())
    return folder / "report.html"


def rho_over_all(root: Path, names: Iterable[str]) -> pd.DataFrame:
    """The rho tables of the runs that have one, below each other, those with published figures first.

    Columns: `sweep`, rho_table.COLUMNS and PUBLISHED_COLUMNS, which only means of the ratio attack by the paper
    estimator have. Without any such table it has no rows.
    """
    having = [name for name in names if (places.tables(root, name) / "rho.csv").is_file()]
    having.sort(key=lambda name: not _compared(root, name))
    parts = [_rho_of(root, name) for name in having]
    columns = ["sweep", *rho_table.COLUMNS, *PUBLISHED_COLUMNS]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _rho_of(root: Path, name: str) -> pd.DataFrame:
    rho = frames.read_csv(places.tables(root, name) / "rho.csv")
    rho.insert(0, "sweep", name)
    if not _compared(root, name):
        return rho.assign(published_source="", published_mean=float("nan"), published_std=float("nan"))
    file = places.tables(root, name) / places.PUBLISHED_CURVES
    theirs = pd.read_csv(file, keep_default_na=False, na_values={"published_std": ""})
    return published.join(rho, theirs)


def _compared(root: Path, name: str) -> bool:
    """Whether a run has published values to be compared with; the demo is made of them."""
    return name != demo.NAME and (places.tables(root, name) / places.PUBLISHED_CURVES).is_file()


def shown(long: pd.DataFrame) -> TextTable:
    """What is shown of the long table: a row for each setting, from the first sweep that has it. Columns of HEADER that
    would be empty are left out."""
    means = long[long["seed"].isna()]
    sweeps = [_main_attack(rows) for _, rows in means.groupby("sweep", sort=False)]
    rows = pd.concat(sweeps) if sweeps else means
    settings = rows.groupby(["kind", "setting", "model", "level"], sort=False)
    order = {setting: i for i, setting in enumerate(words.ordered_settings(rows["setting"]))}
    found = sorted(settings, key=lambda item: (item[0][0], order[item[0][1]], *item[0][2:]))
    lines = [_cells(rows[rows["sweep"] == rows["sweep"].iloc[0]].set_index("estimator")) for _, rows in found]
    kept = [column for column, cells in enumerate(zip(*lines)) if any(cells)]
    return [HEADER[column] for column in kept], [[line[column] for column in kept] for line in lines]


def _main_attack(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one attack and one variant of a sweep: the main attack and corrected, if it has them."""
    variant = CORRECTED if (rows["variant"] == CORRECTED).any() else PAPER
    rows = rows[rows["variant"] == variant]
    return rows[rows["attack"] == words.main_attack(set(rows["attack"]))]


def _cells(estimates: pd.DataFrame) -> list[str]:
    """The cells of one setting. estimates: one row per estimator."""
    isotonic, paper = estimates.loc["isotonic"], estimates.loc[PAPER]
    marked = rho_table.flagged(estimates)
    several = isotonic["n_seeds"] > 1
    return [
        str(isotonic["kind"]), str(isotonic["setting"]), f"{isotonic['level']:g}", str(isotonic["model"]),
        str(isotonic["sweep"]), str(isotonic["n_seeds"]), mark(number(isotonic["rho"]), marked["isotonic"]),
        interval(isotonic["rho_low"], isotonic["rho_high"]), number(isotonic["rho_std"]) if several else "",
        mark(number(paper["rho"]), marked[PAPER]), *map(number, (paper["published_mean"], paper["published_std"])),
        published.model_of(str(paper["published_source"]), str(isotonic["model"])),
    ]  # fmt: skip


def _overview(
    found: Mapping[str, Report], long: pd.DataFrame, listed: ReportTable, warnings: Sequence[str]
) -> Overview:
    common = _common(found)
    own = {
        name: {key: text for key, text in given.methods.items() if key not in common} for name, given in found.items()
    }
    tables = [report_table("rho", CAPTION, shown(long), long)] if len(long) else []
    return Overview(_summary(found, long), warnings, found, own, common, listed, tables)


def _common(found: Mapping[str, Report]) -> dict[str, str]:
    """The methods with one text in every sweep that has them, at least two sweeps if there are two."""
    counts = Counter(item for given in found.values() for item in given.methods.items())
    texts = Counter(name for name, _ in counts)
    enough = min(2, len(found))
    return {name: text for (name, text), count in counts.items() if count >= enough and texts[name] == 1}


def _summary(found: Mapping[str, Report], long: pd.DataFrame) -> list[str]:
    sweeps = "1 sweep is" if len(found) == 1 else f"{len(found)} sweeps are"
    texts = [f"{sweeps} collected: {', '.join(found)}."]
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
