"""Answers as chat models give them: whole, and in every way that they are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.perturbations import paraphrase
from lib.perturbations.paraphrase import distinct, first_text, parse, question

NINE = [f"the {word} version" for word in ("red", "blue", "old", "new", "sixth", "long", "odd", "next", "last")]
NUMBERED = "\n".join(f"{n}. {text}" for n, text in enumerate(NINE, 1))


@pytest.mark.parametrize(
    "answer",
    [
        NUMBERED,
        NUMBERED.replace("\n", "\n\n"),
        "Sure! Here are 9 versions:\n\n" + NUMBERED + "\n\nI hope that helps. Do you want 3 more?",
        " --- ".join(NUMBERED.split("\n")),  # as the published prompt wants it
        "\n---\n".join(NUMBERED.split("\n")),
        "\n".join(f"{n}) {text}" for n, text in enumerate(NINE, 1)),
        "\n".join(f"**{n}.** {text}" for n, text in enumerate(NINE, 1)),
        "\n".join(f'### {n}: "{text}"' for n, text in enumerate(NINE, 1)),
        "\n".join(f"({n}) **{text}**" for n, text in enumerate(NINE, 1)),
        "\n".join(f"> {n}.\n\n{text}\n" for n, text in enumerate(NINE, 1)),
        NUMBERED + "\n10. one too many\n11. and another",
        NUMBERED + "\n1. the list once more\n2. and more",
        NUMBERED.replace("\n", "\r\n"),
    ],
)
def test_nine_rephrasings_in_any_dress(answer: str) -> None:
    assert parse(answer, 9) == NINE


def test_what_is_missing_is_left_out() -> None:
    assert parse("1. one\n3. three\n4.\n\n5.   \n6. six", 9) == ["one", "three", "six"]
    assert parse("1. one\ntwo lines of it\n2. two\n\nThat is all I have.", 9) == ["one\ntwo lines of it", "two"]
    assert parse("I cannot help with that.", 9) == parse("", 9) == parse("\n\n---\n", 9) == []
    assert parse("1. a --- dash inside\n2. b", 9) == ["a --- dash inside", "b"]
    assert parse("1. it cost 3.50 in 2019. More\n2. x", 9) == ["it cost 3.50 in 2019. More", "x"]


def test_equal_texts_count_once_and_the_original_does_not() -> None:
    assert distinct(["A  b", "a b", "c", "The Original", "c "], "the original") == ["A  b", "c"]


@settings(max_examples=50)
@given(st.text(max_size=200), st.integers(1, 12))
def test_any_answer_gives_at_most_so_many_texts(answer: str, count: int) -> None:
    found = parse(answer, count)
    assert len(found) <= count
    assert all(text == text.strip() != "" for text in found)


@settings(max_examples=25)
@given(st.lists(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,5}", fullmatch=True), min_size=1, max_size=9))
def test_numbered_texts_come_back(texts: list[str]) -> None:
    assert parse("\n".join(f"{n}. {text}" for n, text in enumerate(texts, 1)), len(texts)) == texts


def collect(answer, count, per_answer, attempts, usable, original):
    """Of one text, by the answer to each attempt."""
    ask = lambda wanted: [answer(number) for _, number in wanted]  # noqa: E731
    return dict(paraphrase.collect(ask, {0: original}, count, per_answer, attempts, usable))[0]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=4), st.integers(1, 4))
def test_a_text_gets_the_same_answers_alone_and_beside_others(said, count) -> None:
    """said: the answers to each text, one after the other; then it is silent."""
    asked = []

    def ask(wanted):
        asked.extend(wanted)
        return ["".join(said[row][number : number + 1]) for row, number in wanted]

    originals = {row: f"text {row}" for row in range(len(said))}
    found = dict(paraphrase.collect(ask, originals, count, 1, 6, bool))
    assert len(set(asked)) == len(asked) == sum(each.answers for each in found.values())
    for row, answers in enumerate(said):
        kept, used = [], 0
        while len(kept) < count and used < 6:
            kept = list(dict.fromkeys([*kept, *answers[used : used + 1]]))
            used += 1
        assert (found[row].rephrasings, found[row].answers) == (kept, used)


def test_answers_add_up_until_there_are_enough() -> None:
    answers = ["1. a\n2. b", "no", "1. b\n2. c\n3. X", "1. d\n2. e\n3. f"]
    found = collect(answers.__getitem__, 3, 3, 9, lambda text: text != "X", "original")
    assert (found.rephrasings, found.answers, found.whole) == (["a", "b", "c"], 3, 0)
    found = collect(answers.__getitem__, 3, 3, 2, lambda text: True, "original")
    assert (found.rephrasings, found.answers) == (["a", "b"], 2)
    whole = collect(lambda n: answers[3], 3, 3, 9, lambda text: True, "original")
    assert (whole.rephrasings, whole.answers, whole.whole) == (["d", "e", "f"], 1, 1)


@pytest.mark.parametrize(
    "answer",
    ["so it is", '"so it is"\n\nI changed the words.', "Here you are:\n\nso it is", "Sure:\nso it is", "**so it is**\n",
     "1. so it is", "**Here:**\n\n1. so it is"],
)  # fmt: skip
def test_one_rephrasing_in_an_answer(answer: str) -> None:
    assert first_text(answer) == ["so it is"]


def test_one_at_a_time() -> None:
    assert first_text("") == first_text("Here it is:") == []
    answers = ["a", "A ", "", "the original", "b"]
    found = collect(answers.__getitem__, 2, 1, 9, bool, "The original")
    assert (found.rephrasings, found.answers, found.whole) == (["a", "b"], 5, 3)
    assert "9" in question("x", 9)
    assert "9" not in question("x", 1)
