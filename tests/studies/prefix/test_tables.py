"""The prefix study's tables against counting by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import TesseraError
from lib.prefix import discoverable, rankings
from lib.reporting import frames
from lib.statistics import proportions
from lib.studies.prefix import tables
from lib.studies.prefix.tables import ALL, OWN, Texts
from tests.studies.prefix.toy import attack, mamba


def row(table: pd.DataFrame, **key) -> pd.Series:
    for name, value in key.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_columns_stand_where_other_programs_expect_them() -> None:
    found = tables.make([attack(), mamba()])
    assert frames.to_csv(found["memorized"]).splitlines()[0] == (
        "family,model,n_parameters,prompt_tokens,decoding,draw,subset,repetitions,n_prompts,asked,n_documents,memorized,"
        "share,low,high,n_draws,draws_low,draws_high"
    )
    assert set(found) == {"memorized", "scores", "differences", "discordant", "extraction"}
    published = "sample,prompt,suffix,memorized,PPL_XL,PPL_S,PPL_Lower,Zlib"
    table = tables.samples_table(attack())
    assert ",".join(table) == f"{published},document,file,in_file"
    assert set(table["file"]) == {""}
    texts = attack().texts
    n = len(texts.prompt)
    known = replace(texts, file=[f"/data/{row}.txt" for row in range(n)], in_file=[1] * n)
    table = tables.samples_table(tables.pool([attack(texts=known), attack()]))
    assert table["file"].tolist() == [*known.file, *[""] * n]
    assert table["in_file"].tolist() == [1] * n + [0] * n


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


def drawn(seed: int, exact, model: str = "small", **changes):
    """One draw of prompts of documents 0, 1, 2, ...; two draws share them all."""
    n = len(exact)
    plain = {"subset": np.full(n, ""), "repetitions": np.zeros(n, np.int64), "texts": None, "evidence": {}}
    several = {"document": np.arange(n), "draw": np.full(n, seed), "prompts": f"draw {seed}"}
    return attack(model, exact, **{**plain, **several, **changes})


def test_draws_stand_one_by_one_and_together_with_two_intervals() -> None:
    shares = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    table = tables.make([drawn(seed, exact) for seed, exact in zip((33, 7, 53), shares)])["memorized"]
    assert table["draw"].tolist() == [7, 33, 53, pd.NA]
    assert table["share"].tolist() == [0.25, 0.5, 0, 0.25]
    every = row(table, draw=None)
    assert (every["n_prompts"], every["n_documents"], every["n_draws"], every["asked"]) == (12, 4, 3, 12)
    interval = stats.t.interval(0.95, 2, 0.25, stats.sem([0.25, 0.5, 0]))
    assert [every["draws_low"], every["draws_high"]] == pytest.approx(list(interval))
    exact, documents = np.concatenate(shares).astype(bool), np.tile(np.arange(4), 3)
    assert (every["low"], every["high"]) == proportions.clustered_wilson(exact, documents)
    assert table["draws_low"].isna().tolist() == [True, True, True, False]


def test_models_are_compared_on_the_draws_they_share() -> None:
    small = [drawn(1, [1, 1, 1, 0]), drawn(2, [1, 1, 0, 0])]
    other = [drawn(1, [0, 0, 0, 0], "other"), drawn(2, [0, 0, 0, 1], "other")]
    found = tables.make([*small, *other, drawn(1, [1, 0, 0, 0], "third")])
    pairs = found["differences"][["model", "other_model", "draw"]].fillna(0).to_numpy().tolist()
    both, once = [["other", "small", draw] for draw in (0, 1, 2)], [["other", "third", 1], ["small", "third", 1]]
    assert sorted(pairs) == [*both, *once]
    both = row(found["differences"], model="other", other_model="small", draw=None)
    assert (both["n_prompts"], both["n_documents"], both["only_other"], both["only_model"]) == (8, 4, 5, 1)
    difference = np.array([-1, -1, -1, 0, -1, -1, 0, 1])
    assert both["p_value"] == pytest.approx(proportions.sign_flip(difference, np.tile(np.arange(4), 2)))
    assert found["discordant"]["draw"].notna().all()


def test_prompts_of_one_document_are_one_unit() -> None:
    exact, documents = np.repeat([1, 0, 0, 1, 0], 4), np.repeat(np.arange(5), 4)
    one = drawn(0, exact, document=documents)
    other = drawn(0, np.zeros(20), "other", document=documents)
    found = tables.make([one, other])
    memorized = row(found["memorized"], model="small")
    assert (memorized["n_documents"], memorized["n_prompts"]) == (5, 20)
    plain = proportions.wilson(8, 20)
    assert memorized["high"] - memorized["low"] > 1.5 * float(plain[1] - plain[0])
    assert row(found["differences"])["p_value"] == pytest.approx(0.5)  # 2 documents of one sign; McNemar's: 0.0078


def test_documents_of_two_corpora_with_one_number_are_two() -> None:
    one, two = (drawn(0, [1, 0], corpus=np.full(2, name), asked=np.full(2, 5)) for name in ("ArXiv", "Github"))
    both = tables.pool([one, two])
    assert both.counts(np.ones(4, bool)) == {"n_prompts": 4, "asked": 10, "n_documents": 4}
    assert both.counts(np.array([True, True, False, False]))["asked"] == 5
    assert both.counts(np.array([True, False, True, True]))["asked"] is None  # a part of a corpus
    unknown = tables.pool([one, replace(two, asked=np.zeros(2, np.int64))])
    assert unknown.counts(np.ones(4, bool))["asked"] is None


def test_decodings_of_one_model_are_not_compared_with_each_other() -> None:
    both = [attack(decoding="greedy"), attack(decoding="published", sampling=OWN), mamba(decoding="published")]
    table = tables.differences_table(tables.in_order(both))
    pairs = table.loc[table["subset"] == ALL, ["model", "other_model", "decoding"]]
    assert pairs.to_numpy().tolist() == [["small", "rival", "published"]]
