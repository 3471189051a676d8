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
