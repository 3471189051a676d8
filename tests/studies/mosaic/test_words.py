"""Names in figures and sentences: every kind, every attack and every setting has its own."""

import re

import pytest
from matplotlib.colors import to_hex

from lib.attacks import scores
from lib.perturbations import kinds
from lib.studies.mosaic import words

KINDS = (*kinds.NAMES, *words.INJECTIONS)
ATTACKS = (*scores.NAMES, *words.BASELINES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_its_levels_count_and_ends_in_their_symbol(kind):
    counted, symbol = words.level_name(kind).rsplit(" ", 1)
    assert counted
    assert symbol == words.symbol_of(kind)
    assert re.fullmatch(r"\w{1,3}", symbol)
    assert words.kind_name(kind)
    assert re.match(r"an? ", words.duplicate_of(kind))


def test_kinds_have_names_of_their_own():
    for name in (words.kind_name, words.duplicate_of):
        assert len(set(map(name, KINDS))) == len(KINDS)


def test_attacks_have_a_label_a_colour_and_a_marker_of_their_own():
    assert len(set(map(words.label_of, ATTACKS))) == len(ATTACKS)
    styles = [words.style_of(name) for name in ATTACKS]
    assert words.UNKNOWN_STYLE not in styles
    assert len({to_hex(colour) for colour, _, _ in styles}) == len(styles)
    assert len({marker for _, marker, _ in styles}) == len(styles)


def test_an_attack_that_is_not_known_keeps_its_name():
    assert words.label_of("another") == "another"
    assert words.style_of("another") == words.UNKNOWN_STYLE


def test_settings_in_order():
    found = ["k=random", "k=1000", "", "k=10", "k=100", "ngram=2;method=paper", "ngram=2", "inserted_tokens=inf"]
    assert words.ordered_settings([*found, "k=10"]) == [
        "", "inserted_tokens=inf", "k=10", "k=100", "k=1000", "k=random", "ngram=2", "ngram=2;method=paper",
    ]  # fmt: skip
