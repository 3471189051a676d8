"""The results of the extraction sweep: its table (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lib.reporting import writer
from lib.reporting.cells import TextTable, estimate, mean_over_seeds, number, without_empty
from lib.reporting.page import ReportTable, opened, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.extraction import figures, findings, published
from lib.studies.extraction.tables import EXTRACTABLE, LIKELY, MEASURES, Extracted, make
from lib.studies.mosaic import words

METHODS = {
    "Extraction": "The first tokens of a canary are the prompt, and the fine-tuned model continues it greedily. The "
    "continuation is compared with the suffix, the next tokens of the canary: exact (all tokens are equal), matched "
    "(share of tokens before the first wrong one), edit similarity (1 - Levenshtein distance / length, in tokens), and "
    "smoothed BLEU over token ids. Word BLEU is that of the published study: over the words of the decoded texts, not "
    "smoothed, so that it is 0 for most canaries.",
    "(n, p)-discoverable": "extractable n is the share of canaries whose suffix is among n samples from the model's "
    f"own distribution with a probability of at least {LIKELY:g}: ln(1 - p) / ln(1 - p_z) <= n.",
    "Intervals": "95 % over canaries, of the mean where there are several seeds: Wilson's of the canaries of all seeds "
    "for shares (exact, extractable), bootstrap within each seed for means (all others). seeds_low and seeds_high are "
    "the 95 % t interval over seeds. Members and non-members are the same canaries in every setting.",
}
CLOSING = ("edit_similarity", "word_bleu", "exact")  # as many as have room in a terminal
HEADINGS = {"edit_similarity": "edit sim.", "word_bleu": "word BLEU"}
CAPTION = (
    "Bars are 95 % intervals over canaries. Dotted: the edit similarity of non-members, which were never injected. "
    "Grey: the published edit similarity (squares) and word BLEU (diamonds) of one seed, where prompts, suffixes and "
    "duplicates are the published ones."
)


def write(root: Path, name: str, records: Sequence[Extracted], description: Description) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name.

    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(records)
    extraction = found["extraction"]
    sentences, warnings = list(findings.in_words(extraction)), list(findings.warnings(extraction))
    results = Results(found, draw(found), shown(found), sentences, warnings, METHODS)
    writer.write(root, name, results, description)
    return found


def draw(found: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """One figure for each kind, with its title and caption."""
    extraction = found["extraction"]
    return [
        Drawn(
            f"extraction_{kind}",
            f"Extraction against {words.level_name(kind)}",
            f"{opened(mean_over_seeds(extraction['seed'].nunique()))}. {CAPTION}",
            figures.extraction_figure(extraction, kind),
        )
        for kind in sorted(set(extraction["kind"]))
    ]


def summary(found: Mapping[str, pd.DataFrame], measures: Sequence[str] = MEASURES) -> TextTable:
    """Members, means over seeds with their intervals: a row for each model, kind, setting and level, a column for each
    measure, and the published values where there are any. No column is empty."""
    rows = found["extraction"]
    rows = rows[rows["seed"].isna() & (rows["side"] == "members")]
    ours = rows.assign(cell=[estimate(*values) for values in zip(*(rows[name] for name in ("value", "low", "high")))])
    theirs = rows.assign(cell=[number(value) for value in rows["published_value"].astype(float)])
    keys = ["model", "kind", "setting", "level"]
    ours, theirs = (table.pivot(index=keys, columns="measure", values="cell") for table in (ours, theirs))
    known = [name for name in published.MEASURES if theirs[name].any()]
    header = [*keys, *map(_heading, measures), *(f"published {_heading(name)}" for name in known)]
    cells = pd.concat([ours[list(measures)], theirs[known]], axis=1)
    return without_empty((header, [[*key[:3], f"{key[3]:g}", *row] for key, row in zip(cells.index, cells.to_numpy())]))


def closing(found: Mapping[str, pd.DataFrame]) -> str:
    """What the values of `summary` are of."""
    return f"Members, {mean_over_seeds(found['extraction']['seed'].nunique())}, 95 % intervals over canaries"


def _heading(measure: str) -> str:
    return f"in {EXTRACTABLE[measure]:,}" if measure in EXTRACTABLE else HEADINGS.get(measure, measure)


def shown(found: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """What the report shows of the table, and the published one."""
    caption = (
        f"{closing(found)}: Wilson's for exact and in n, bootstrap for the others. in n: extractable within n samples. "
        "All rows:"
    )
    theirs = published.table()
    rows = [list(map(str, row)) for row in theirs.itertuples(index=False)]
    return [
        report_table("extraction", caption, summary(found), found["extraction"]),
        report_table("published", "Published, one seed:", (list(theirs.columns), rows), theirs),
    ]
