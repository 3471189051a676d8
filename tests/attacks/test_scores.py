"""Every attack against a brute force of a few lines, its properties, and published code's estimators."""

import re
import sys
import zlib as zlib_module
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from lib.attacks import (
    ez,
    loss,
    lowercase,
    min_k,
    min_k_plus_plus,
    padding,
    ratio,
    recall,
    scores,
    wbc,
    zlib,
    zlib_bits,
)
from lib.base import ragged
from lib.base.errors import TesseraError
from lib.base.places import ROOT

log_prob = st.floats(-20, -1e-3)
rows = st.lists(st.lists(log_prob, min_size=1, max_size=40).map(np.array), min_size=1, max_size=8)
TEXTS = ["Once upon a time, ONCE upon a time", "Zq7#ÄÖ x", "aaaaaaaaaaaaaaaaaaaa"]


def evidence(n=12, seed=0) -> dict:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(5, 60, n)
    draw = lambda scale: [-generator.exponential(scale, length) for length in lengths]  # noqa: E731
    return {
        "log_probs": draw(3),
        "mu": draw(2),
        "sigma": [np.abs(row) + 0.5 for row in draw(1)],
        "texts": ["".join(map(chr, generator.integers(32, 400, length))) for length in lengths],
        "lower_log_probs": [-generator.exponential(3, length + 2) for length in lengths],
        "prefixed_log_probs": draw(3),
        "top_log_probs": [row * (row < -2) for row in draw(3)],
        "reference_log_probs": draw(3),
        "reference_means": -generator.exponential(3, n),
        "padding_log_probs": np.where(lengths < max(lengths), -generator.exponential(9, n), np.nan),
        "lower_padding_log_probs": np.where(lengths < max(lengths), -generator.exponential(9, n), np.nan),
        "reference_padded_means": -generator.exponential(3, n),
    }


def unpadded(count: int) -> np.ndarray:
    """`padding_log_probs` of texts of one length."""
    return np.full(count, np.nan)


def batch(given: dict, prefix: str = "") -> list[np.ndarray]:
    """The values l of a side as published code has them: every row as long as the longest, and only one padding token
    of a shorter text is a target; l of the others is 0."""
    rows, after = given[f"{prefix}log_probs"], given[f"{prefix}padding_log_probs"]
    width = max(map(len, rows))
    return [row if len(row) == width else np.r_[row, last, np.zeros(width)][:width] for row, last in zip(rows, after)]


def perplexities(given: dict, prefix: str = "") -> np.ndarray:
    """Of these rows: a padded text of n targets is divided by n + 1."""
    rows = given[f"{prefix}log_probs"]
    width = max(map(len, rows))
    targets = np.array([len(row) + (len(row) < width) for row in rows])
    return np.exp(-np.array([row.sum() for row in batch(given, prefix)]) / targets)


@pytest.mark.parametrize("seed", range(3))
def test_published_estimators_are_turned_round(seed):
    """As published: perplexities, their ratios, zlib bytes per character, the 20 lowest; there, higher = non-member."""
    given = evidence(seed=seed)
    found = scores.compute(given)
    ppl, lower = perplexities(given), perplexities(given, "lower_")
    entropy = np.array([len(zlib_module.compress(text.encode())) / len(text) for text in given["texts"]])
    lowest = [np.mean(np.sort(row)[:20]) for row in batch(given)]
    np.testing.assert_allclose(found["ratio_paper"], -ppl / np.exp(-given["reference_padded_means"]))
    np.testing.assert_allclose(found["lowercase_paper"], -ppl / lower)
    np.testing.assert_allclose(found["zlib_paper"], -np.log(ppl) / entropy)
    np.testing.assert_allclose(found["min_k_paper"], lowest)
    np.testing.assert_allclose(found["loss_paper"], -ppl)
    assert np.array_equal(found["min_k_plus_plus"], found["min_k_plus_plus_paper"])


def test_published_estimators_of_texts_of_one_length_keep_their_order():
    given = evidence()
    given = given | {
        "log_probs": [np.resize(row, 30) for row in given["log_probs"]],
        "padding_log_probs": unpadded(12),
        "reference_padded_means": given["reference_means"],
    }
    for same in (loss, ratio):
        orders = [
            rankdata(function(**{key: given[key] for key in scores.needs(function)}))
            for function in (same.score, same.paper)
        ]
        np.testing.assert_array_equal(*orders)


@given(rows)
def test_the_means_of_padded_rows_are_those_of_the_rows_that_published_code_counts(log_probs):
    width = max(map(len, log_probs))
    after = np.array([np.nan if len(row) == width else -5.0 for row in log_probs])
    means = padding.means(ragged.sums(log_probs), ragged.lengths(log_probs), after)
    np.testing.assert_allclose(means, ragged.means(padding.counted(log_probs, after)), rtol=1e-12)
    assert [len(row) for row in padding.counted(log_probs, after)] == [min(len(r) + 1, width) for r in log_probs]


@given(rows)
def test_min_k_of_everything_is_the_mean(log_probs):
    np.testing.assert_allclose(min_k.score(log_probs, k=1.0), loss.score(log_probs), rtol=1e-12)


@given(rows, st.integers(1, 100))
def test_min_k_is_brute_force_with_exact_arithmetic(log_probs, percent):
    expected = []
    for row in log_probs:
        count = max(1, len(row) * Fraction(percent, 100) // 1)
        expected.append(np.mean(sorted(row)[:count]))
    np.testing.assert_allclose(min_k.score(log_probs, k=percent / 100), expected, rtol=1e-12)


def test_min_k_per_row_and_absolute():
    short, long = -np.arange(1.0, 5), -np.arange(1.0, 101)
    np.testing.assert_allclose(min_k.score([short, long]), [-4, -90.5])
    # 20 tokens: all four of the short one, its padding token and 15 more of l = 0; alone all four
    np.testing.assert_allclose(min_k.paper([short, long], np.array([-10, np.nan])), [-20 / 20, -90.5])
    np.testing.assert_allclose(min_k.paper([short, long], unpadded(2)), [-2.5, -90.5])
    np.testing.assert_allclose(min_k.score([long], k=0.29), [-np.mean(np.arange(72.0, 101))])


@pytest.mark.parametrize("k", [0.0, -0.1, 1.5])
def test_min_k_refuses_a_share_that_is_none(k):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        min_k.score([np.array([-1.0])], k=k)


def test_min_k_plus_plus_is_brute_force_over_a_distribution():
    generator = np.random.default_rng(3)
    distributions = generator.dirichlet(np.ones(7), size=10)
    chosen = generator.integers(0, 7, 10)
    logs = np.log(distributions)
    mu = (distributions * logs).sum(1)
    sigma = np.sqrt((distributions * logs**2).sum(1) - mu**2)
    values = sorted((logs[t, chosen[t]] - mu[t]) / sigma[t] for t in range(10))
    found = min_k_plus_plus.score([logs[np.arange(10), chosen]], [mu], [sigma])
    np.testing.assert_allclose(found, [np.mean(values[:2])])


def test_min_k_plus_plus_of_a_uniform_distribution_is_zero():
    flat = [np.full(5, -np.log(50))]
    np.testing.assert_array_equal(min_k_plus_plus.score(flat, flat, [np.zeros(5)]), [0])


@given(rows)
def test_every_likelihood_score_rises_when_a_token_gets_likelier(log_probs):
    likelier = [row / 2 for row in log_probs]
    texts, count = ["Some Text"] * len(log_probs), len(log_probs)
    for estimator in (
        loss.score,
        lambda rows: ratio.score(rows, np.full(count, -2.0)),
        lambda rows: ratio.paper(rows, unpadded(count), np.full(count, -2.0)),
        lambda rows: zlib.score(rows, texts),
        lambda rows: zlib.paper(rows, texts, unpadded(count)),
        lambda rows: zlib_bits.score(rows, texts),
        lambda rows: lowercase.score(rows, log_probs, texts),
        lambda rows: lowercase.paper(rows, log_probs, unpadded(count), unpadded(count)),
        min_k.score,
        lambda rows: min_k.paper(rows, unpadded(count)),
    ):
        assert (estimator(likelier) > estimator(log_probs)).all()


def test_zlib_per_compressed_byte_of_utf8_not_per_character():
    log_probs = [np.array([-1.0, -3.0])] * 3
    sizes = [len(zlib_module.compress(text.encode())) for text in TEXTS]
    np.testing.assert_allclose(zlib.score(log_probs, TEXTS), [-2 / size for size in sizes])
    np.testing.assert_allclose(zlib_bits.score(log_probs, TEXTS), [-4 / np.log(2) / (8 * size) for size in sizes])


def test_lowercase_is_per_byte_in_the_log_domain():
    """'Ä' and 'ä' have two bytes each; 'İ' has two and its lower case three."""
    found = lowercase.score(
        [np.array([-2.0]), np.array([-6.0])], [np.array([-1.0, -4.0]), np.array([-9.0])], ["AÄ", "İ"]
    )
    np.testing.assert_allclose(found, [5 / 3 - 2 / 3, 9 / 3 - 6 / 2])


def test_lowercase_of_lowercase_text_is_zero():
    row = [np.array([-1.0, -2.0])]
    assert lowercase.score(row, row, ["abc"]) == 0
    assert lowercase.paper(row, row, unpadded(1), unpadded(1)) == -1


def test_ratio_is_each_over_its_own_tokens():
    reference = ragged.means([np.array([-1.0, -2.0, -3.0])])
    np.testing.assert_allclose(ratio.score([np.array([-1.0])], reference), [1.0])


def test_recall_is_higher_when_the_prefix_hurts():
    plain = [np.array([-2.0, -2.0])] * 2
    assert np.array_equal(recall.score(plain, [np.array([-1.0, -1.0]), np.array([-2.0, -4.0])]), [0.5, 1.5])
    with pytest.raises(ValueError, match="the same tokens"):
        recall.score(plain, [np.array([-1.0]), np.array([-2.0, -4.0])])


def test_wbc_by_hand():
    """D = +1 -3 +1 +1: windows of two sum to -2 -2 2, of three to -1 -1; longer ones are the whole text: 0."""
    found = wbc.score([np.array([-1.0, -5, -1, -1])], [np.array([-2.0, -2, -2, -2])])
    np.testing.assert_allclose(found, [(1 / 3 + 0 + 8 * 0) / 10])


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60))
def test_wbc_is_brute_force(shift):
    """Whole numbers: no sum is rounded."""
    votes = []
    for w in (min(w, len(shift)) for w in (2, 3, 4, 6, 9, 13, 18, 25, 32, 40)):
        sums = [sum(shift[start : start + w]) for start in range(len(shift) - w + 1)]
        votes.append(sum(value > 0 for value in sums) / len(sums))
    found = wbc.score([np.array(shift) - 5.0], [np.full(len(shift), -5.0)])
    np.testing.assert_allclose(found, [np.mean(votes)], rtol=1e-12)


def test_ez_by_hand():
    """Of D = 2 -1 5 -3 the third token is ranked first: P = 2, N = 4."""
    reference, shift = np.array([-4.0, -4, -6, -4]), np.array([2.0, -1, 5, -3])
    top = reference + shift + [1, 0.5, 0, 2]
    np.testing.assert_allclose(ez.score([reference + shift], [top], [reference]), [np.log(2 / 4)], atol=1e-6)


def test_ez_is_finite_and_highest_without_an_error():
    reference, row = np.array([-4.0, -4]), np.array([-1.0, -1])
    faultless, only_up, only_down, unmoved = ez.score(
        [row, row, row, reference], [row, row + 0.5, row + 0.5, row], [reference, reference, row + 3, reference]
    )
    assert faultless > only_up > unmoved > only_down
    assert unmoved == 0
    assert np.isfinite([faultless, only_up, only_down]).all()


def test_members_stand_higher_by_wbc_and_ez():
    generator = np.random.default_rng(0)
    reference = [-generator.exponential(3, 50) for _ in range(20)]
    top = [np.zeros(50)] * 20
    noise = [generator.normal(0, 0.3, 50) for _ in range(20)]
    for estimator in (wbc.score, lambda rows, others: ez.score(rows, top, others)):
        lifted = estimator([r + n + 0.1 for r, n in zip(reference, noise)], reference)
        plain = estimator([r + n for r, n in zip(reference, noise)], reference)
        assert (lifted >= plain).all()
        assert lifted.mean() > plain.mean()


def test_rows_of_other_tokens_are_named():
    with pytest.raises(ValueError, match="row 1: 2 and 3 scored tokens"):
        wbc.score([np.zeros(2), np.zeros(2)], [np.zeros(2), np.zeros(3)])


def test_compute_leaves_out_what_has_no_evidence():
    given = evidence()
    everything = set(scores.compute(given))
    assert everything == set(scores.estimators())
    del given["prefixed_log_probs"], given["reference_means"], given["reference_log_probs"]
    assert set(scores.compute(given)) == everything - {"recall", "ratio", "wbc", "ez"}
    del given["reference_padded_means"], given["lower_padding_log_probs"]
    assert set(scores.compute(given)) == everything - {
        "recall", "ratio", "ratio_paper", "lowercase_paper", "wbc", "ez"
    }  # fmt: skip


def test_every_score_is_a_finite_float64_per_text():
    for name, values in scores.compute(evidence(n=9)).items():
        assert values.shape == (9,), name
        assert values.dtype == np.float64, name
        assert np.isfinite(values).all(), name


def test_an_empty_row_is_named():
    with pytest.raises(ValueError, match="row 1: no scored token"):
        loss.score([np.array([-1.0]), np.array([])])


def test_a_misspelt_piece_of_evidence_is_an_error_not_a_missing_score(monkeypatch):
    monkeypatch.setattr(loss, "score", lambda logprobs: logprobs)
    with pytest.raises(TesseraError, match="no evidence 'logprobs'; did you mean 'log_probs'"):
        scores.compute(evidence())


def test_the_example_of_the_readme_is_an_attack_with_a_look_of_its_own(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "lib" / "README.md").read_text(), re.DOTALL)
    (text,) = [block for block in blocks if block.startswith("# lib/attacks/median_loss.py\n")]
    example = ModuleType("lib.attacks.median_loss")
    exec(text, example.__dict__)
    others = [name for name in scores.NAMES if name != "median_loss"]  # a reader may have added it
    looks = [scores.load(name) for name in others]
    monkeypatch.setitem(sys.modules, example.__name__, example)
    monkeypatch.setattr(scores, "NAMES", (*others, "median_loss"))
    rows = [np.array([-3.0, -1.0, -2.0]), np.array([-1.0, -4.0])]
    np.testing.assert_array_equal(scores.compute({"log_probs": rows})["median_loss"], [-2, -2.5])
    assert example.LABEL not in [look.LABEL for look in looks]
    assert not {colour_or_marker for look in looks for colour_or_marker in look.STYLE[:2]} & set(example.STYLE[:2])


def test_a_name_without_a_file_or_a_style_is_an_error(monkeypatch):
    monkeypatch.setattr(scores, "NAMES", ("lost",))
    with pytest.raises(TesseraError, match=r"there is no file lib/attacks/lost\.py"):
        scores.estimators()
    monkeypatch.setattr(scores, "NAMES", ("loss",))
    monkeypatch.delattr(loss, "STYLE")
    with pytest.raises(TesseraError, match=r"loss\.py: STYLE is missing"):
        scores.estimators()
