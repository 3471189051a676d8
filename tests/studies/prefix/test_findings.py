"""The prefix study in words."""

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
    none = findings.warnings(tables.make([attack(exact=[0] * 6)]))
    assert any("No model repeated any suffix" in text for text in none)


def test_a_model_without_a_partner_is_named() -> None:
    found = tables.make([attack(), mamba(prompts="those")])
    assert any("no other model has the same prompts" in text for text in findings.warnings(found))
