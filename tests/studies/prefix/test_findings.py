"""The prefix study in words."""

import numpy as np

from lib.studies.prefix import findings, tables
from tests.studies.prefix.toy import attack, mamba, two_lengths


def test_words_say_what_the_tables_say() -> None:
    texts = findings.in_words(tables.make(two_lengths()))
    assert texts[0].startswith("With prompts of 8 tokens, rival repeats most: 83.3 % of 6 suffixes whole")
    assert any("with 0 repeated only by the former and 2 only by the latter: no clear" in text for text in texts)
    assert "small: 50 % after prompts of 8 tokens, 100 % after prompts of 16 tokens." in texts
    assert any(text.startswith("small, by how often") and "100 % at 1, 100 % at 16" in text for text in texts)
    assert not any(text.startswith("small repeats most") for text in texts)  # its shares are equal
    assert any("rival repeats most of code (100 %) and least of prose (66.7 %)" in text for text in texts)


def test_growth_with_size_is_reported_for_a_family_of_several() -> None:
    larger = attack("large", [1] * 6, n_parameters=2_000_000)
    texts = findings.in_words(tables.make([attack(), larger]))
    assert "GPT-NeoX: 50 % with 0.001 M parameters, 100 % with 2 M parameters." in texts[0]


def test_warnings_name_few_prompts_copies_and_nothing_memorized() -> None:
    texts = findings.warnings(tables.make([attack(), mamba()]))
    assert texts[0].startswith("Only 6 prompts for small, rival")
    assert any("small, prompts of 8 tokens: 1 of its memorized suffixes can be copied" in text for text in texts)
    none = findings.warnings(tables.make([attack(exact=[0] * 6), attack(model="other", exact=[0] * 6)]))
    assert any("No model repeated any suffix" in text for text in none)


def test_a_model_without_a_partner_is_named() -> None:
    found = tables.make([attack(), mamba(prompts="those")])
    assert any("no other model has the same prompts" in text for text in findings.warnings(found))


def test_fewer_prompts_than_asked_and_prompts_of_one_document_are_said() -> None:
    short = attack(asked=np.full(6, 10_000), document=np.zeros(6, int))
    texts = findings.warnings(tables.make([short]))
    assert any(text.startswith("All prompts: 6 of 10,000 prompts asked for (small)") for text in texts)
    assert any("All prompts of small are of one document" in text for text in texts)


def test_draws_and_decodings_have_words_of_their_own() -> None:
    draws = [attack(draw=np.full(6, seed), exact=exact) for seed, exact in ((1, [1] * 6), (2, [0, 1, 1, 1, 1, 1]))]
    greedy = findings.in_words(tables.make(draws))
    assert any(text.startswith("small, prompts of 8 tokens: 91.7 % over 2 draws of prompts") for text in greedy)
    both = findings.in_words(tables.make([*draws, attack(decoding="published", exact=[0] * 6)]))
    assert any(text.startswith("With prompts of 8 tokens (published), small repeats 0 %") for text in both)
    assert any(text.startswith("small (greedy), by how often") for text in both)


def test_one_model_is_compared_with_none() -> None:
    none = tables.make([attack(exact=[0] * 6)])
    none["rankings"] = none["scores"].head(0)
    (first, *_), texts = findings.in_words(none), findings.warnings(none)
    assert first.startswith("With prompts of 8 tokens, small repeats 0 % of 6 suffixes whole")
    assert "The model repeated no suffix whole." in texts
