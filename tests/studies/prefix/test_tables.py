"""The prefix attack's tables against counting by hand, its files, figures, words and report."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.prefix import discoverable, rankings
from lib.reporting import frames, writer
from lib.studies.prefix import figures, findings, reading, tables
from lib.studies.prefix import results as prefix_results
from lib.studies.prefix.tables import ALL, OWN, Attack, Texts

DESCRIPTION = writer.Description("A toy attack", provenance={"all": "by hand"})
NASTY = ["a,b", 'with "quotes"', "line\nend", "carriage\rreturn", "ünï ♞", " spaces ", "", "last"]


def attack(model: str = "small", exact=(0, 1, 1, 0, 1, 0), **changes) -> Attack:
    exact = np.array(exact, dtype=bool)
    n = len(exact)
    columns = {
        "exact": exact, "matched_tokens": np.where(exact, 4, 1), "edit_similarity": np.where(exact, 1.0, 0.25),
        "bleu": np.where(exact, 1.0, 0.1), "suffix_in_prompt": np.arange(n) == 1,
        "suffix_nll": np.where(exact, 0.5, 12.0), "suffix_log_p": np.where(exact, 0.0, -np.inf),
    }  # fmt: skip
    words = [NASTY[i % len(NASTY)] for i in range(n)]
    values = {
        "model": model, "family": "gpt_neox", "n_parameters": 1000, "prompt_tokens": 8, "suffix_tokens": 4,
        "prompts": "these", "document": np.arange(n) * 10, "subset": np.array((["code", "prose"] * n)[:n]),
        "repetitions": np.array(([1, 1, 16] * n)[:n]), "columns": columns,
        "evidence": {
            "large": np.linspace(1, 2, n), "small": np.linspace(3, 2, n), "lower": np.linspace(1, 3, n),
            "zlib_bytes": np.arange(n) + 50,
        },
        "texts": Texts(words, words[::-1], words, [a + b for a, b in zip(words, words[::-1])]),
    }  # fmt: skip
    return Attack(**{**values, **changes})


def mamba(exact=(1, 1, 1, 0, 1, 1), **changes) -> Attack:
    return attack("rival", exact, **{"family": "mamba", "n_parameters": 1100, **changes})


def row(table: pd.DataFrame, **key) -> pd.Series:
    for name, value in key.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_columns_stand_where_other_programs_expect_them() -> None:
    found = tables.make([attack(), mamba()])
    assert frames.to_csv(found["memorized"]).splitlines()[0] == (
        "family,model,n_parameters,prompt_tokens,subset,repetitions,n_prompts,memorized,share,low,high"
    )
    assert set(found) == {"memorized", "scores", "differences", "discordant", "extraction"}
    published = "sample,prompt,suffix,memorized,PPL_XL,PPL_S,PPL_Lower,Zlib"
    assert ",".join(tables.samples_table(attack())) == published


def test_memorized_is_counted_by_type_and_repetition_with_wilson_intervals() -> None:
    table = tables.memorized_table([attack()])
    everything = row(table, subset=ALL, repetitions=None)
    assert (everything["n_prompts"], everything["memorized"], everything["share"]) == (6, 3, 0.5)
    interval = stats.binomtest(3, 6).proportion_ci(method="wilson")
    assert (everything["low"], everything["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert row(table, subset="code", repetitions=None)["memorized"] == 2
    assert row(table, subset=ALL, repetitions=16)["n_prompts"] == 2
    assert row(table, subset="prose", repetitions=1)["n_prompts"] == 2
    assert len(table) == 3 * 3


def test_what_is_unknown_has_no_rows_of_its_own() -> None:
    plain = attack(subset=np.full(6, ""), repetitions=np.zeros(6, np.int64))
    table = tables.memorized_table([plain])
    assert table[["subset", "n_prompts"]].to_numpy().tolist() == [[ALL, 6]]
    assert table["repetitions"].isna().all()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from(["a", "b"])), min_size=1, max_size=30))
def test_differences_equal_counting_one_by_one(rows) -> None:
    mine, theirs, subset = (list(column) for column in zip(*rows))
    subsets = {"subset": np.array(subset), "texts": None}
    one, other = attack(exact=mine, **subsets), mamba(theirs, **subsets)
    table, discordant = tables.differences_table([one, other]), tables.discordant_table([one, other])
    for name in {ALL, *subset}:
        chosen = [(a, b) for a, b, s in rows if name in (ALL, s)]
        only_one, only_other = chosen.count((True, False)), chosen.count((False, True))
        found = row(table, subset=name)
        assert (found["only_model"], found["only_other"]) == (only_one, only_other)
        assert found["difference"] == pytest.approx(
            (sum(a for a, _ in chosen) - sum(b for _, b in chosen)) / len(chosen)
        )
        test = stats.binomtest(only_one, only_one + only_other).pvalue if only_one + only_other else 1
        assert found["p_value"] == pytest.approx(test)
    expected = [(i, "small" if a else "rival") for i, (a, b, _) in enumerate(rows) if a != b]
    assert list(discordant[["row", "memorized_by"]].itertuples(index=False, name=None)) == expected


def test_only_models_on_the_same_prompts_are_compared() -> None:
    others = [attack(), mamba(prompts="those"), mamba(prompt_tokens=16)]
    assert tables.differences_table(others).empty
    found = tables.make([attack(), mamba(prompts="those")])
    assert any("no other model was given the same prompts" in text for text in findings.warnings(found))


def test_scores_are_means_and_copies_from_the_prompt_are_counted_apart() -> None:
    found = row(tables.scores_table([attack()]), subset=ALL)
    assert (found["matched_tokens"], found["edit_similarity"], found["bleu"]) == (2.5, 0.625, pytest.approx(0.55))
    assert found["suffix_nll_per_token"] == pytest.approx((0.5 + 12) / 2 / 4)
    assert (found["suffix_in_prompt"], found["memorized_in_prompt"]) == (1, 1)
    assert found["share_not_in_prompt"] == pytest.approx(2 / 5)
    inside = attack(columns={**attack().columns, "suffix_in_prompt": np.ones(6, bool)})
    assert np.isnan(row(tables.scores_table([inside]), subset=ALL)["share_not_in_prompt"])


def test_extraction_counts_prompts_within_n_samples() -> None:
    sampled = attack(sampling="temperature 0.8", columns={**attack().columns, "suffix_log_p": np.log(np.full(6, 0.5))})
    table = tables.extraction_table([sampled], samples=(1, 3, 4))
    half = table[(table["sampling"] == "temperature 0.8") & (table["p"] == 0.9) & (table["subset"] == ALL)]
    assert half[["n", "share"]].to_numpy().tolist() == [[1, 0], [3, 0], [4, 1]]  # p_z = 0.5, p = 0.9: n = 4
    own = row(table, sampling=OWN, p=0.5, n=1, subset=ALL)["share"]
    assert own == np.mean(discoverable.samples_needed(-sampled.columns["suffix_nll"], 0.5) <= 1) == 0.5
    assert set(tables.extraction_table([attack()])["sampling"]) == {OWN}  # greedy decoding has no p_z


def test_corpora_of_one_model_are_pooled_and_different_runs_are_not() -> None:
    one, two = attack(), attack(exact=[1, 1], texts=Texts(*[["x", "y"]] * 4))
    both = tables.pool([one, two])
    assert (len(both.document), int(both.columns["exact"].sum())) == (8, 5)
    assert list(both.texts.prompt) == [*one.texts.prompt, "x", "y"]
    assert both.evidence["large"].tolist() == [*one.evidence["large"], *two.evidence["large"]]
    assert tables.pool([one]) is one
    with pytest.raises(TesseraError, match="continued differently"):
        tables.pool([one, attack(sampling=OWN)])


def test_wrong_columns_and_a_subset_called_all_are_refused() -> None:
    with pytest.raises(TesseraError, match="do not fit"):
        attack(document=np.arange(5))
    with pytest.raises(TesseraError, match="rename it"):
        attack(subset=np.full(6, "all"))


def test_rankings_are_the_published_ones_in_order() -> None:
    one = attack()
    table = tables.rankings_table(one, top=4)
    for name, scores in rankings.scores(one.evidence).items():
        mine = table[table["ranking"] == name]
        assert mine["row"].tolist() == sorted(range(6), key=lambda i, s=scores: -s[i])[:4]
        assert mine["rank"].tolist() == [1, 2, 3, 4]
        assert mine["continuation"].tolist() == [one.texts.continuation[i] for i in mine["row"]]
    without = replace(one, evidence={"large": one.evidence["large"]})
    assert set(tables.rankings_table(without)["ranking"]) == {"perplexity"}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("prefix")
    prefix_results.write(root, "toy", two_sizes(), DESCRIPTION)
    return root


def two_lengths() -> list[Attack]:
    return [mamba(), attack(), attack(prompt_tokens=16, exact=[1] * 6), mamba(prompt_tokens=16)]


def two_sizes() -> list[Attack]:
    return [*two_lengths(), attack("large", [1] * 6, n_parameters=2_000_000)]


def test_texts_of_every_kind_come_back_from_the_published_columns(written: Path) -> None:
    path = places.tables(written, "toy") / "samples_small_8.csv"
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
    prefix_results.write(tmp_path, "toy", two_sizes(), DESCRIPTION)
    kinds = {places.tables: "memorized.csv scores.h5 differences.csv discordant.csv extraction.csv rankings.csv",
             places.figures: "sizes.png sizes.pdf lengths.png repetitions.png subsets.png extraction.png"}  # fmt: skip
    for place, files in kinds.items():
        for name in files.split():
            assert (place(written, "toy") / name).read_bytes() == (place(tmp_path, "toy") / name).read_bytes()
    assert places.report(written, "toy").read_bytes() == places.report(tmp_path, "toy").read_bytes()


def test_every_panel_shows_every_share() -> None:
    few, many = [0] * 5 + [1], [1] * 6
    found = tables.memorized_table([attack(exact=few), attack(prompt_tokens=16, exact=many)])
    drawn = [
        figures.size_figure(found),
        figures.length_figure(found),
        figures.repetition_figure(found),
    ]
    for figure in drawn:
        for axes in figure.axes:
            assert axes.get_ylim()[0] < 0
            assert axes.get_ylim()[1] >= found["high"].max()
            low, high = axes.get_xlim()
            assert all(low < x < high for line in axes.get_lines() for x in line.get_xdata())


def test_the_report_is_whole(written: Path) -> None:
    text = places.report(written, "toy").read_text()
    for said in ("Wilson", "McNemar", "memorized_by_repetition", "Suffix in the prompt", "extraction", "by hand"):
        assert said in text


def test_the_closing_table_has_models_by_size_and_prompt_lengths_across() -> None:
    header, rows = prefix_results.summary(tables.make(two_lengths()))
    assert header == ["model", "parameters", "8 tokens", "16 tokens"]
    assert rows == [["small", "0.001 M", "50 %", "100 %"], ["rival", "0.0011 M", "83.3 %", "83.3 %"]]


def test_words_say_what_the_tables_say() -> None:
    said = findings.in_words(tables.make(two_lengths()))
    assert said[0].startswith("With prompts of 8 tokens, rival repeats most: 83.3 % of 6 suffixes whole")
    assert any("0 only the former, 2 only the latter, no clear difference" in text for text in said)
    assert "small: 50 % after prompts of 8 tokens, 100 % after prompts of 16 tokens." in said
    assert any(text.startswith("small, by how often") and "100 % at 1, 100 % at 16" in text for text in said)
    assert any("rival repeats most of code (100 %) and least of prose (66.7 %)" in text for text in said)


def test_growth_with_size_is_told_for_a_family_of_several() -> None:
    larger = attack("large", [1] * 6, n_parameters=2_000_000)
    said = findings.in_words(tables.make([attack(), larger]))
    assert "GPT-NeoX: 50 % with 0.001 M parameters, 100 % with 2 M parameters." in said[0]


def test_warnings_name_few_prompts_copies_and_nothing_memorized() -> None:
    said = findings.warnings(tables.make([attack(), mamba()]))
    assert said[0].startswith("Only 6 prompts for small, rival")
    assert any("small, prompts of 8 tokens: of its memorized suffixes, 1 can be copied" in text for text in said)
    none = findings.warnings(tables.make([attack(exact=[0] * 6)]))
    assert any("No model repeated any suffix" in text for text in none)


def test_a_sweep_with_nothing_known_but_the_prompts_is_drawn(tmp_path: Path) -> None:
    bare = attack("alone", [0, 0], subset=np.array(["", ""]), repetitions=np.zeros(2, np.int64), family="unknown",
                  evidence={"large": np.array([1.0, np.nan])}, texts=Texts(*[["x", ""]] * 4))  # fmt: skip
    found = prefix_results.write(tmp_path, "bare", [bare], DESCRIPTION)
    assert sorted(file.stem for file in places.figures(tmp_path, "bare").glob("*.png")) == ["extraction"]
    assert found["rankings"]["rank"].tolist() == [1, 2]
    assert "PPL_S" in (places.tables(tmp_path, "bare") / "samples_alone_8.csv").read_text()


def artifacts(folder: Path, parts: int = 2, n: int = 5, **changes) -> tuple[list[Path], Path]:
    """Parts of generations.h5, last one first, and prefix_scores.h5."""
    about = {"family": "mamba", "n_parameters": 77, "decoding_kind": "greedy", "decoding_temperature": 1.0,
             "decoding_top_k": 0, "decoding_top_p": 1.0, **changes}  # fmt: skip
    files = []
    for part in reversed(range(parts)):
        rows = np.arange(n * part // parts, n * (part + 1) // parts)
        files.append(folder / f"generations-{part}.h5")
        with hdf5.create(files[-1]) as file:
            file.attrs.update(about)
            hdf5.write(file, "row", rows.astype("<u8"))
            hdf5.write(file, "prompt", np.add.outer(rows, np.arange(3)).astype("<u4"))
            hdf5.write(file, "suffix", np.add.outer(rows, np.arange(2)).astype("<u4"))
            hdf5.write(file, "subset", np.array(["prösa".encode()] * len(rows)))
            for name in ("document", "repetitions", "matched_tokens"):
                hdf5.write(file, name, rows.astype("<u4") + 1)
            for name in ("edit_similarity", "bleu", "suffix_nll", "suffix_log_p"):
                hdf5.write(file, name, -rows.astype(float))
            for name in ("exact", "suffix_in_prompt"):
                hdf5.write(file, name, rows % 2 == 0)
    scores = folder / "prefix_scores.h5"
    with hdf5.create(scores) as file:
        file.attrs["scored"] = "all"
        hdf5.write(file, "row", np.arange(n, dtype="<u8"))
        hdf5.write(file, "log_perplexity_large", np.ones(n))
        hdf5.write(file, "zlib_bytes", np.full(n, 9, "<u4"))
        for name in ("prompt", "continuation", "suffix"):
            hdf5.write_texts(file, f"{name}_text", [f"{name}{i} " for i in range(n)])
    return files, scores


def test_parts_are_put_in_the_order_of_the_prompts(tmp_path: Path) -> None:
    files, scores = artifacts(tmp_path)
    found = reading.read("m", files, scores)
    assert (found.family, found.n_parameters, found.prompt_tokens, found.suffix_tokens) == ("mamba", 77, 3, 2)
    assert found.document.tolist() == found.repetitions.tolist() == [1, 2, 3, 4, 5]
    assert found.subsets == ["prösa"]
    assert found.columns["exact"].tolist() == [True, False, True, False, True]
    assert found.texts.sample[4] == "prompt4 continuation4 "
    assert (found.sampling, set(found.evidence)) == ("", {"large", "zlib_bytes"})
    assert reading.read("m", files[::-1], scores).prompts == found.prompts
    assert reading.read("m", files, scores, repetitions_known=False).repetitions.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("decoding", "said"),
    [
        ({"decoding_temperature": 0.8, "decoding_top_k": 40}, "temperature 0.8, top-k 40"),
        ({"decoding_top_p": 0.9}, "temperature 1, top-p 0.9"),
        ({}, OWN),
    ],
)
def test_sampling_is_said_in_words(tmp_path: Path, decoding, said) -> None:
    files, scores = artifacts(tmp_path, decoding_kind="sample", **decoding)
    assert reading.read("m", files, scores).sampling == said


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    files, scores = artifacts(tmp_path)
    with pytest.raises(TesseraError, match="not every prompt once"):
        reading.read("m", files[:1], scores)
    with pytest.raises(TesseraError, match="not every prompt once"):
        reading.read("m", [*files, files[0]], scores)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(TesseraError, match="'n_parameters' is another than"):
        reading.read("m", [files[0], artifacts(other, n_parameters=5)[0][1]], scores)
    with pytest.raises(TesseraError, match="not of the 5 prompts"):
        reading.read("m", files, artifacts(other, n=6)[1])
