import pytest

from lib.costs.facts import Facts, Model, UnknownFact, together

MODEL = Model(1, 1, 1, 1)


def test_tokens_are_those_of_all_texts() -> None:
    assert Facts(texts=3, tokens_a_text=2.5).tokens == 7.5


def test_a_list_of_inputs_has_the_text_of_all_if_it_is_known_of_all() -> None:
    assert together([Facts(texts=3, text_bytes=2), Facts(texts=4, text_bytes=5)]) == Facts(texts=3, text_bytes=7)
    assert together([Facts(text_bytes=2), Facts()]).text_bytes is None


@pytest.mark.parametrize(("facts", "name"), [(Facts(texts=3), "tokens_a_text"), (Facts(tokens_a_text=3), "texts")])
def test_a_fact_that_is_missing_is_named(facts: Facts, name: str) -> None:
    with pytest.raises(UnknownFact, match=name):
        _ = facts.tokens


def test_what_is_computed_comes_over_what_is_stated() -> None:
    assert Facts(texts=3).over(Facts(MODEL, 4, 5)) == Facts(MODEL, 3, 5)
    with pytest.raises(UnknownFact, match="model"):
        _ = Facts().size
