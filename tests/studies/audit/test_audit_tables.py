"""Tables, sentences and excerpts of an audit whose windows are made up, against counts by hand."""

import numpy as np
import pytest

from lib.audit import windows
from lib.audit.texts_file import MEMBER, NON_MEMBER, UNKNOWN, AuditedTexts
from lib.audit.windows import Cut
from lib.base.seeds import generator
from lib.studies.audit import findings, measures, results, tables
from lib.studies.audit.reading import Audited

CUT = Cut(prompt_tokens=2, suffix_tokens=2, stride=1)
WORDS = 12  # of each text; a word and the blank behind it are a token


def audited(collection: str, n_texts: int, extracted: dict[int, set[int]], shift: float = 0.0, **texts) -> Audited:
    """Texts of words; extracted: text -> the starts of windows with p_z = 1/2, all others have 1e-6."""
    ids = [np.arange(WORDS) + 100 * number for number in range(n_texts)]
    ids[-1] = ids[-1][:3]  # shorter than a window
    text = ["".join(f"w{token} " for token in row) for row in ids]
    ends = [np.cumsum([len(f"w{token} ") for token in row]) for row in ids]
    characters = [np.stack([np.append(0, end[:-1]), end], axis=1) for end in ends]
    about = {"group": [""] * n_texts, "label": np.full(n_texts, UNKNOWN, dtype=np.int8), **texts}
    given = AuditedTexts(text=text, name=[f"t{i}" for i in range(n_texts)], ids=ids, characters=characters, **about)
    of, start = windows.of_texts(given.lengths(), CUT)
    hit = np.array([s in extracted.get(t, ()) for t, s in zip(of.tolist(), start.tolist())])
    log_p = np.log(np.where(hit, 0.5, 1e-6))
    spans = [windows.spans(start[of == t], hit[of == t], CUT) for t in range(n_texts)]
    longest = np.array([windows.longest(one) for one in spans])
    draws = generator(0, collection).normal(size=n_texts) * 0.1
    return Audited(
        model="m",
        collection=collection,
        texts=given,
        thresholds=(1e-3, 0.9),
        cut=CUT,
        top_k=40,
        windows={"text": of, "start": start, "log_p": log_p, "log_p_own": log_p - 1, "matched": np.where(hit, 2, 0)},
        of_texts={
            "tokens": np.array(given.lengths()),
            "windows": np.bincount(of, minlength=n_texts),
            "examined": np.maximum(np.array(given.lengths()) - 2, 0) * (np.bincount(of, minlength=n_texts) > 0),
            "covered": np.array([[windows.covered(one), 0] for one in spans]),
            "span_begin": np.stack([longest[:, 0], np.zeros(n_texts, int)], axis=1),
            "span_end": np.stack([longest[:, 1], np.zeros(n_texts, int)], axis=1),
        },
        scores={"loss": np.append((draws + shift)[:-1], np.nan), "min_k": np.append((draws - shift)[:-1], np.nan)},
    )


@pytest.fixture(scope="module")
def found() -> list[Audited]:
    return [audited("mine", 8, {0: {0, 1, 5}, 3: {4}}, 5.0), audited("controls", 9, {})]


@pytest.fixture(scope="module")
def made(found) -> dict:
    return tables.make(found)


def test_texts_are_listed_by_what_is_covered(made) -> None:
    rows = made["texts"][made["texts"]["collection"] == "mine"]
    assert list(rows["name"])[:2] == ["t0", "t3"]
    first = rows.iloc[0]
    # suffixes at tokens 2-3, 3-4 and 7-8 of the 10 behind the first prompt
    assert (first["covered"], first["span_tokens"], first["span_words"]) == (0.5, 3, 3)
    assert first["span"] == "w2 w3 w4 "
    assert (first["greedy_windows"], first["windows"]) == (3, 9)
    assert first["mean_p_z"] == pytest.approx((3 * 0.5 + 6 * 1e-6) / 9)
    assert first["samples"] == 1  # one sample holds it with p = 0.5
    assert rows.iloc[-1]["windows"] == 0
    assert np.isnan(rows.iloc[-1]["covered"])


def test_shares_of_windows(made) -> None:
    rows = made["thresholds"].set_index(["collection", "threshold"])
    assert rows.loc[("mine", 1e-3), "extracted"] == 4
    assert rows.loc[("mine", 1e-3), "share"] == pytest.approx(4 / 63)
    assert rows.loc[("mine", 1e-3), "covered"] == pytest.approx(7 / 70)
    assert rows.loc[("mine", 0.9), "extracted"] == rows.loc[("controls", 1e-3), "extracted"] == 0
    curve = made["curve"][made["curve"]["collection"] == "mine"].set_index("p_z")["share"]
    assert curve[1e-20] == 1
    assert curve[1.0] == 0
    assert curve[0.1] == pytest.approx(4 / 63)


def test_controls_are_compared_by_document(made, found) -> None:
    loss = made["controls"].set_index("statistic").loc[measures.LOSS]
    assert (loss["units"], loss["control_units"]) == (7, 8)  # the short ones have no windows
    assert loss["difference"] == pytest.approx(5, abs=0.2)
    assert loss["low"] < 5.2
    assert loss["p_value"] == pytest.approx(1 / 6435)  # every division of 7 and 8 but one is less
    grouped = audited("mine", 8, {}, group=["a"] * 4 + ["b"] * 4)
    assert [unit.tolist() for unit in grouped.units()] == [[0, 1, 2, 3], [4, 5, 6]]
    assert measures.of_units(grouped, grouped.scores["loss"])[0] == pytest.approx(grouped.scores["loss"][:4].mean())


def test_what_differs_in_words_alone_proves_nothing() -> None:
    """Texts of the same words, drawn alike, cannot be told apart; those of other words can."""
    draws = np.random.default_rng(0)
    for first, told in ((0, False), (30, True)):
        both = [audited("mine", 9, {}), audited("controls", 9, {})]
        for one, low in zip(both, (0, first)):
            one.texts.ids[:] = [draws.integers(low, low + 30, WORDS) for _ in range(9)]
        warned = findings.warnings(both, tables.make(both))
        assert any("AUC of 1.000" in one and "proves nothing about memory" in one for one in warned) == told
        assert any("proves nothing" in one for one in warned) == told


def test_sentences_and_warnings(found, made) -> None:
    said, warned = findings.in_words(made), findings.warnings(found, made)
    assert "m, mine: 4 of 63 windows (6.35 %" in said[0]
    assert "4 are continued greedily" in said[0]
    assert "The text that is extracted most is t0: 50 % of its tokens, at most 3 words in a row." in said[0]
    assert "a difference of" in said[1]
    assert any(
        "mine: 1 text shorter than a window of 4 tokens, of which nothing is known: t7." in one for one in warned
    )
    few = [audited("mine", 4, {}), audited("controls", 5, {})]
    assert any("p can be no smaller than 0.029" in one for one in findings.warnings(few, tables.make(few)))  # 1 in 35
    alone = tables.make(found[:1])
    assert any("There are no control texts" in one for one in findings.warnings(found[:1], alone))
    assert any("mine: 7 of 8 texts are control texts as well" in one for one in warned)  # all but the cut one
    assert not any("as well" in one for one in findings.warnings(found[:1], alone))


def test_labels_give_an_auc(found) -> None:
    labels = np.array([MEMBER, MEMBER, MEMBER, NON_MEMBER, NON_MEMBER, UNKNOWN, NON_MEMBER, MEMBER], dtype=np.int8)
    one = audited("mine", 8, {}, label=labels)
    one.scores["loss"][:] = [3, 2, 1, 0, 1.5, 9, -1, np.nan]
    rows = tables.make([one])["membership"].set_index("attack")
    assert rows.loc["loss", "auc"] == pytest.approx(8 / 9)
    assert rows.loc["loss", "n_members"] == 3
    assert np.isnan(rows.loc["loss", "delong_p"])
    assert 0 <= rows.loc["min_k", "delong_p"] <= 1
    assert rows.loc["loss", "tpr_at_fpr_0.1"] == pytest.approx(2 / 3)
    assert len(tables.make(found)["membership"]) == 0


def test_texts_can_be_left_out(found) -> None:
    assert not tables.make(found, show_texts=False)["texts"]["span"].any()
    assert [table.name for table in results.shown(tables.make(found))] == [
        "thresholds",
        "texts",
        "controls",
        "documents",
        "bag_of_words",
    ]
