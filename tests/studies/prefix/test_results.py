"""What the prefix study writes: texts that come back, the same bytes again, the report."""

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from lib.base import places
from lib.reporting import page, writer
from lib.reporting.excerpts import Excerpt
from lib.studies.prefix import excerpts, results, tables
from lib.studies.prefix.tables import Texts
from tests.studies.prefix.toy import NASTY, attack, two_lengths, two_sizes

DESCRIPTION = writer.Description("A toy attack", provenance={"all": "by hand"})


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("prefix")
    results.write(root, "toy", two_sizes(), DESCRIPTION)
    return root


def test_texts_of_every_kind_come_back_from_the_published_columns(written: Path) -> None:
    path = places.tables(written, "toy") / "samples_small_8_greedy_0.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [line["prompt"] for line in rows] == NASTY[:6]
    assert [line["sample"] for line in rows] == list(attack().texts.sample)
    assert [line["memorized"] for line in rows] == ["False", "True", "True", "False", "True", "False"]
    assert float(rows[0]["PPL_XL"]) == pytest.approx(np.e, rel=1e-7)
    frame = pd.read_csv(path, keep_default_na=False)
    assert frame["PPL_S"].dtype == np.float64
    assert frame["prompt"].tolist() == NASTY[:6]


def test_everything_is_written_and_the_same_again(written: Path, tmp_path: Path) -> None:
    results.write(tmp_path, "toy", two_sizes(), DESCRIPTION)
    kinds = {
        places.tables: "memorized.csv scores.h5 differences.csv discordant.csv extraction.csv rankings.csv",
        places.figures: "sizes.png sizes.pdf lengths.png repetitions.png subsets.png extraction.png",
    }
    for place, files in kinds.items():
        for name in files.split():
            assert (place(written, "toy") / name).read_bytes() == (place(tmp_path, "toy") / name).read_bytes()
    assert places.report(written, "toy").read_bytes() == places.report(tmp_path, "toy").read_bytes()


def test_the_report_is_whole(written: Path) -> None:
    text = places.report(written, "toy").read_text()
    for said in ("Wilson", "McNemar", "memorized_by_repetition", "Suffix in the prompt", "extraction", "by hand"):
        assert said in text


def test_each_model_shows_texts_of_its_longest_prompts(written: Path) -> None:
    shown = page.read(places.report_data(written, "toy")).excerpts
    assert [excerpt.title.split(",")[:2] for excerpt in shown] == [
        ["rival", " prompts of 16 tokens"], ["small", " prompts of 16 tokens"], ["large", " prompts of 8 tokens"],
    ]  # fmt: skip
    assert [len(row) for row in shown[0].rows] == [1, 2] * 3
    most = shown[0].rows[0][0]
    assert (most.label, most.segments) == ("The most remembered (document 0, code): the prompt", [("a,b", "")])
    prefix = [(attack(f"m{number}"), Excerpt("t", "c")) for number in range(13)]
    assert [one.caption for one in excerpts.shown(prefix)] == ["c 12 of 13 models are shown."] * 12


def test_texts_are_left_out_of_the_tables_of_a_report() -> None:
    rankings = tables.rankings_table(attack())
    (whole, bare) = (
        results.shown({**tables.make([attack()]), "rankings": rankings}, texts)[-1] for texts in (True, False)
    )
    assert "carriage" in str(whole.rows) + whole.csv.decode()
    assert "carriage" not in str(bare.rows) + bare.csv.decode()
    assert len(bare.rows) == len(whole.rows)


def test_the_closing_table_has_models_by_size_and_prompt_lengths_across() -> None:
    header, rows = results.summary(tables.make(two_lengths()))
    assert header == ["model", "parameters", "8 tokens", "16 tokens"]
    half, five, all_six = (interval_of(k) for k in (3, 5, 6))
    assert rows == [
        ["small", "0.001 M", f"50 % {half}", f"100 % {all_six}"],
        ["rival", "0.0011 M", f"83.3 % {five}", f"83.3 % {five}"],
    ]


def interval_of(k: int, n: int = 6) -> str:
    """Wilson's, in percent, by scipy."""
    found = binomtest(k, n).proportion_ci(method="wilson")
    return f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"


def test_a_sweep_with_nothing_known_but_the_prompts_is_drawn(tmp_path: Path) -> None:
    bare = attack("alone", [0, 0], subset=np.array(["", ""]), repetitions=np.zeros(2, np.int64), family="unknown",
                  evidence={"large": np.array([1.0, np.nan])}, texts=Texts(*[["x", ""]] * 4))  # fmt: skip
    found = results.write(tmp_path, "bare", [bare], DESCRIPTION)
    assert sorted(file.stem for file in places.figures(tmp_path, "bare").glob("*.png")) == ["extraction"]
    assert found["rankings"]["rank"].tolist() == [1, 2]
    assert "PPL_S" in (places.tables(tmp_path, "bare") / "samples_alone_8_greedy_0.csv").read_text()


def test_several_draws_and_decodings_are_drawn_listed_and_overwrite_nothing(tmp_path: Path) -> None:
    exact = {"mamba": [1, 0, 0, 0, 0, 0], "rwkv": [1, 1, 1, 1, 1, 0]}
    settings = list(itertools.product(exact, ("greedy", "published"), (1, 2)))
    every = [
        attack(model, exact[model], family=model, decoding=how, prompts=str(seed), draw=np.full(6, seed))
        for model, how, seed in settings
    ]
    every = [replace(one, asked=np.full(6, 8)) for one in every]
    found = results.write(tmp_path, "many", every, DESCRIPTION)
    written = {file.name for file in places.tables(tmp_path, "many").glob("samples_*.csv")}
    assert written == {f"samples_{model}_8_{how}_{seed}.csv" for model, how, seed in settings}
    rows = results.summary(found)[1]
    assert [cells[0] for cells in rows] == [f"{model} ({how})" for model, how, seed in settings if seed == 1]
    report = places.report(tmp_path, "many").read_text()
    assert "memorized_by_draw" in report
    assert "12 of 16" in report
    panels = {drawn.name: len(drawn.figure.axes) for drawn in results.draw(found)}
    assert panels["repetitions"] == panels["subsets"] == 2  # one a decoding
