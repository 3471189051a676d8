"""The results of a prefix sweep: tables (CSV, HDF5), texts (CSV), figures (PNG, PDF) and the report."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lib.base import files, places
from lib.reporting import frames, writer
from lib.reporting.cells import TextTable, number, p_value, percent, percent_interval
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.prefix import excerpts, figures, findings, tables, words
from lib.studies.prefix.tables import ALL, OWN, Attack
from lib.studies.prefix.words import millions

METHODS = {
    "Prompts": "A prompt is the last tokens of a window inside one document; the next tokens are the true suffix. "
    "Models with the same tokenizer have the same prompts. Prompts of all lengths end at the same place.",
    "Memorized": "The continuation begins with the whole true suffix, token for token. Intervals are Wilson's, 95 %. "
    "The unit is the document: where it gives several prompts, their number is divided by the design effect of "
    "documents, estimated from the prompts (Rao and Scott 1992), at least 1, with the correction for few documents.",
    "Draws": "Where prompts were drawn several times, a row without a draw covers all of them. Its interval is over "
    "documents, a document of two draws being one; draws_low and draws_high are the t interval over draws.",
    "Suffix in the prompt": "Such suffixes can be copied without any memory. They count as memorized here, and are "
    "counted separately in the table `scores`.",
    "Differences": "Two models on the same prompts are compared by McNemar's exact test: of the prompts that only one "
    "of them memorized, does each have half? Where a document gives several prompts, the exact randomization test "
    "takes its place, which turns the sign of whole documents around. p-values are of single comparisons, not "
    "corrected for their number.",
    "Extraction": "A suffix of probability p_z is (n, p)-discoverable when n >= ln(1 - p) / ln(1 - p_z) (Hayes et al. "
    "2024). p_z is the model's own probability of the true suffix given the prompt, for sampling at temperature 1 with "
    "nothing cut off. Where ids were sampled differently, that probability is given as well.",
    "Edit similarity, BLEU": "They compare the first tokens of the continuation with the suffix: 1 - Levenshtein "
    "distance over its length; smoothed sentence BLEU.",
    "Rankings": "Generated texts by four log-perplexity scores (Carlini et al. 2021), most suspicious first: that of "
    "the model; of a smaller model over it; of the lowercased text over it; bytes of zlib over it.",
}
WILSON = "Intervals are Wilson's, 95 %, over documents."
TESTS = (
    "p is by McNemar's exact test, or by the exact test over documents where one gives several prompts, of a single "
    "comparison."
)
SHOWN_RANKS, SHOWN_CHARACTERS = 3, 60
SHOWN_SAMPLES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)


def write(
    root: Path, name: str, attacks: Iterable[Attack], description: Description, show_texts: bool = True
) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name.

    attacks are taken one by one, so that only the texts of one model are in memory. show_texts: whether the report
    shows some of them; the tables beside it have all.
    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    folder, bare, rankings, texts = places.tables(root, name), [], [], []
    for attack in attacks:
        rankings.append(_write_texts(folder, attack))
        bare.append(replace(attack, texts=None))
        texts += [(bare[-1], excerpts.make(attack))] if show_texts else []
    made = tables.make(bare)
    found = {**made, "rankings": pd.concat(rankings, ignore_index=True)}
    _write_csv(folder / "rankings.csv", found["rankings"])
    sentences, warnings = findings.in_words(found), findings.warnings(found)
    results = Results(made, draw(found), shown(found, show_texts), sentences, warnings, METHODS)
    writer.write(root, name, results, replace(description, excerpts=[*description.excerpts, *excerpts.shown(texts)]))
    return found


def draw(found: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """Every figure that the tables allow, with its title and caption."""
    memorized, bars = found["memorized"], "Bars are 95 % Wilson intervals, with the document as the unit."
    everything = words.all_prompts(memorized)
    drawn = []
    if everything["n_parameters"].nunique() > 1:
        caption = f"All prompts of a length. {bars}"
        drawn.append(Drawn("sizes", "Memorization by model size", caption, figures.size_figure(memorized)))
    if everything["prompt_tokens"].nunique() > 1:
        caption = f"A longer prompt ends at the same place and begins earlier. {bars}"
        drawn.append(Drawn("lengths", "Memorization by prompt length", caption, figures.length_figure(memorized)))
    if memorized["repetitions"].notna().any():
        caption = f"Passages of all types of text, by how often they occur in the training text. {bars}"
        drawn.append(Drawn("repetitions", "Memorization by repetition", caption, figures.repetition_figure(memorized)))
    if memorized["subset"].nunique() > 2:  # `all` and at least two types
        drawn.append(Drawn("subsets", "Memorization by type of text", bars, figures.subset_figure(memorized)))
    caption = "Share of the longest prompts whose suffix is among n samples with probability p or more."
    drawn.append(Drawn("extraction", "Extraction by sampling", caption, figures.extraction_figure(found["extraction"])))
    return drawn


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: share memorized by model and prompt length."""
    return _pivot(words.all_prompts(found["memorized"]), "prompt_tokens", lambda tokens: f"{tokens:,} tokens")


def _write_texts(folder: Path, attack: Attack) -> pd.DataFrame:
    """The published columns of one model and prompt length; returns its rankings."""
    stem = places.slug("_".join(["samples", *map(str, _name(attack))]))
    _write_csv(folder / f"{stem}.csv", tables.samples_table(attack))
    return tables.rankings_table(attack)


def _name(attack: Attack) -> tuple:
    return attack.model, attack.prompt_tokens, *([attack.decoding] if attack.decoding else []), *attack.draws


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    """A table with texts. They are quoted, because they contain line ends of every kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    floats = table.select_dtypes("float64")
    # rounded here, because pandas quotes the numbers that it formats itself
    rounded = table.assign(**floats.map(lambda value: float(frames.FLOAT_FORMAT % value)))
    text = rounded.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    files.write_bytes(path, text.encode())


def shown(found: Mapping[str, pd.DataFrame], texts: bool = True) -> list[ReportTable]:
    """What the report shows of the tables. texts: whether the rankings may show what was ranked."""
    memorized, scores = found["memorized"], found["scores"]
    listed = [
        report_table("memorized", f"Share memorized by prompt length. {WILSON} All rows:", summary(found), memorized)
    ]
    drawn = memorized[(memorized["subset"] == ALL) & memorized["repetitions"].isna() & memorized["draw"].notna()]
    if drawn["draw"].nunique() > 1:
        listed.append(report_table("memorized_by_draw", f"By draw of prompts. {WILSON}", _pivot(drawn, "draw"), drawn))
    memorized = words.overall(memorized)
    subsets = memorized[(memorized["subset"] != ALL) & memorized["repetitions"].isna()]
    if subsets["subset"].nunique() > 1:
        listed.append(
            report_table("memorized_by_subset", f"By type of text. {WILSON}", _pivot(subsets, "subset"), subsets)
        )
    repeated = memorized[(memorized["subset"] == ALL) & memorized["repetitions"].notna()]
    if len(repeated):
        shown = _pivot(repeated, "repetitions", lambda times: f"{times} x")
        listed.append(
            report_table("memorized_by_repetition", f"By repetition in the training text. {WILSON}", shown, repeated)
        )
    if len(found["differences"]):
        caption = f"Models of different families on all prompts they share. {TESTS} All pairs:"
        listed.append(report_table("differences", caption, _differences(found["differences"]), found["differences"]))
    listed.append(report_table("scores", "Means over all prompts. By type of text as well:", _scores(scores), scores))
    caption = f"Share extractable within n samples ({OWN}). All rows:"
    listed.append(report_table("extraction", caption, _extraction(found["extraction"]), found["extraction"]))
    top = found["rankings"][found["rankings"]["rank"] <= SHOWN_RANKS]
    caption = f"The first {SHOWN_RANKS} texts by each ranking, shortened. rankings.csv beside the tables has more:"
    whole = top.drop(columns=["prompt", "suffix", *([] if texts else ["continuation"])])
    listed.append(report_table("rankings", caption, _rankings(top, texts), whole))
    return listed


def _pivot(rows: pd.DataFrame, across: str, spell: Callable[[Any], str] = str) -> TextTable:
    """Shares with their intervals: a row for each model (and prompt length, unless that is `across`), a column for each
    value across."""
    rows = words.named(rows)
    by = ["who"] if across == "prompt_tokens" else ["who", "prompt_tokens"]
    steps = sorted(set(rows[across]))
    lines = []
    for key, mine in rows.groupby(by, sort=False):
        columns = (mine[name] for name in ("share", "low", "high"))
        shares = dict(zip(mine[across], map(percent_interval, *columns)))
        size = millions(int(mine["n_parameters"].iloc[0]))
        lines.append([str(key[0]), size, *map(str, key[1:]), *(shares.get(step, "") for step in steps)])
    return ["model", "parameters", *(["prompt tokens"] if len(by) > 1 else []), *map(spell, steps)], lines


def _differences(table: pd.DataFrame) -> TextTable:
    header = ["model", "other model", "prompt tokens", "prompts", "only model", "only other", "difference", "p"]
    rows = words.named(words.overall(table))
    rows = rows[(rows["subset"] == ALL) & (rows["family"] != rows["other_family"])]
    return header, [
        [row.who, row.other_model, str(row.prompt_tokens), _of(row), str(row.only_model),
         str(row.only_other), percent(row.difference), p_value(row.p_value)]
        for row in rows.itertuples()
    ]  # fmt: skip


def _scores(table: pd.DataFrame) -> TextTable:
    measures = ["matched tokens", "edit similarity", "BLEU", "NLL per token", "in prompt"]
    header = ["model", "prompt tokens", "prompts", *measures]
    rows = words.named(words.overall(table))
    return header, [
        [row.who, str(row.prompt_tokens), _of(row), f"{row.matched_tokens:.2f}", number(row.edit_similarity),
         number(row.bleu), number(row.suffix_nll_per_token), str(row.suffix_in_prompt)]
        for row in rows[rows["subset"] == ALL].itertuples()
    ]  # fmt: skip


def _extraction(table: pd.DataFrame) -> TextTable:
    rows = words.own_distribution(table)
    rows = rows[rows["n"].isin(SHOWN_SAMPLES)]
    lines = [
        [str(model), str(tokens), f"{p:g}", *map(percent, mine.sort_values("n")["share"])]
        for (model, tokens, p), mine in rows.groupby(["model", "prompt_tokens", "p"], sort=False)
    ]
    return ["model", "prompt tokens", "p", *(f"n = {n:,}" for n in SHOWN_SAMPLES)], lines


def _of(row: Any) -> str:
    """The number of prompts, and how many were asked for where that was more."""
    return f"{row.n_prompts}" if pd.isna(row.asked) or row.asked == row.n_prompts else f"{row.n_prompts} of {row.asked}"


def _rankings(table: pd.DataFrame, texts: bool) -> TextTable:
    header = ["model", *(["continuation"] if texts else []), "prompt tokens", "ranking", "rank", "score", "memorized"]
    return header, [
        [row.who, *([_short(row.continuation)] if texts else []), str(row.prompt_tokens), row.ranking, str(row.rank),
         f"{row.score:.4g}", "yes" if row.memorized else "no"]
        for row in words.named(table).itertuples()
    ]  # fmt: skip


def _short(text: str) -> str:
    return repr(text[:SHOWN_CHARACTERS])[1:-1] + ("…" if len(text) > SHOWN_CHARACTERS else "")
