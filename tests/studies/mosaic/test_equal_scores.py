"""Equal scores against rank correlation, and against the AUCs that they must share."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from lib.reporting import series
from lib.statistics import roc
from lib.studies.mosaic import collect, delong_table, equal_scores, figures, measurements
from lib.studies.mosaic.measurements import Record

NAMES = ("loss", "zlib", "loss_paper", "ratio")
values = st.lists(st.integers(0, 3), min_size=4, max_size=4)


def record(scores, level=1):
    halves = {name: np.split(np.asarray(score, float), 2) for name, score in scores.items()}
    labels = {"model": "m", "seed": 1, "kind": "exact", "level": level}
    return Record(labels, *({name: sides[i] for name, sides in halves.items()} for i in (0, 1)))


@given(st.lists(st.tuples(*[values] * len(NAMES)), min_size=1, max_size=3))
def test_equal_scores_order_every_pair_of_canaries_of_every_record_alike(found):
    records = [record(dict(zip(NAMES, scores))) for scores in found]
    equal = equal_scores.find(records)
    for one, other in itertools.combinations(range(len(NAMES)), 2):
        alike = all(
            np.array_equal(*(np.sign(np.subtract.outer(scores[i], scores[i])) for i in (one, other)))
            for scores in found
        )
        assert (equal[NAMES[one]] == equal[NAMES[other]]) == alike


@given(values, st.floats(0.1, 10), st.floats(-5, 5))
def test_what_rises_with_a_score_is_equal_to_it_and_has_its_auc(score, factor, shift):
    found = record({"zlib": score, "zlib_bits": factor * np.exp(score) + shift, "loss": -np.asarray(score)})
    equal = equal_scores.find([found])
    assert equal["zlib_bits"] == equal["zlib"]
    aucs = [roc.auc(found.members[name], found.non_members[name]) for name in ("zlib", "zlib_bits")]
    assert aucs[0] == aucs[1]
    if len(set(score)) > 1:
        assert kendalltau(found.members["loss"].tolist() + found.non_members["loss"].tolist(), score)[0] < 0
        assert equal["loss"] != equal["zlib"]


@pytest.fixture(scope="module")
def records():
    stream = np.random.default_rng(3)
    found = []
    for level in (1, 5):
        loss, zlib, ratio = stream.normal(size=(3, 40)) + np.repeat([0.3 * level, 0], 20)
        scores = {"loss": loss, "ratio": ratio, "zlib": zlib, "zlib_bits": zlib / 3, "loss_paper": -np.exp(-loss)}
        found.append(record({**scores, "ratio_paper": np.exp(ratio)}, level))
    return found


def test_tables_name_equal_scores_once(records):
    equal = equal_scores.find(records)
    table = pd.DataFrame({"attack": ["zlib", "zlib_bits", "loss", "loss"], "variant": [*["corrected"] * 3, "paper"]})
    assert list(equal_scores.once(table, equal).index) == [0, 2]
    assert list(equal_scores.once(table.iloc[[1, 3]], equal).index) == [1, 3]  # the first one is not there
    assert equal_scores.label("zlib", "corrected", equal) == "zlib (= zlib bits)"
    assert equal_scores.label("loss", "paper", equal) == "loss (= loss corrected)"
    assert equal_scores.label("loss", "corrected", equal) == "loss (= loss paper)"
    assert equal_scores.label("ez", "corrected", equal) == "EZ"


def test_figures_and_methods_name_equal_scores_once(records):
    equal = equal_scores.find(records)
    drawn = figures.roc_figure(records, level=5, equal=equal)
    assert sorted(line.label for line in series.read(drawn)) == ["loss", "ratio", "zlib"]
    assert sorted(line.label for line in series.read(figures.roc_figure(records, level=5)))[2:] == ["zlib", "zlib bits"]
    assert collect.computed(records) == {"attacks": "loss, ratio, zlib (= zlib bits)"}


def test_an_attack_is_named_though_its_scores_are_equal_to_those_of_two_others():
    equal = {"loss": "loss", "zlib": "zlib", "ez": "loss", "ez_paper": "zlib"}
    assert equal_scores.attacks(equal) == ["loss (= EZ)", "zlib"]


def test_equal_scores_are_one_comparison_for_holm(records):
    table = delong_table.make(records)
    first = table[table["level"] == 5].set_index(["attack", "variant"])
    corrected = first.xs("corrected", level="variant")
    small, large = sorted(corrected.loc[["ratio", "zlib"], "p_value"])
    assert corrected.loc[["ratio", "zlib"], "p_holm"].min() == pytest.approx(min(1, 2 * small))
    assert corrected["p_holm"].max() == pytest.approx(min(1, max(2 * small, large)))
    assert corrected.loc["zlib", "p_holm"] == corrected.loc["zlib_bits", "p_holm"]
    assert np.isnan(first.loc[("loss", "paper"), "p_holm"])  # the baseline itself is no comparison
    assert first.loc[("ratio", "paper"), "p_holm"] == first.loc[("ratio", "paper"), "p_value"]
    assert len(measurements.measure(records, 0, 5)) == len(table) + 2
