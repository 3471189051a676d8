"""Names in figures and sentences: of kinds of duplicates, their levels and settings, and of attacks."""

from collections.abc import Iterable

from lib.attacks import scores
from lib.perturbations import kinds
from lib.reporting import drawing

EXACT = "exact"
NO_INJECTION = "none"
CORRECTED, PAPER = "corrected", "paper"
MAIN_ATTACK = "ratio"

# Kinds of duplicates that are not perturbations, whose files declare this themselves: what the levels count, ending in
# their symbol; the name in figures; what sentences call one duplicate.
INJECTIONS = {
    EXACT: ("exact copies ν", "exact copies", "an exact copy"),
    "scramble": (
        "tokens that stay together n",
        "scrambling",
        "a duplicate whose n-grams are scattered over the document",
    ),
}


def level_name(kind: str) -> str:
    """What the levels of a kind count, with the symbol at the end: `replaced tokens R`."""
    return _words(kind)[0]


def kind_name(kind: str) -> str:
    """What figures call a kind."""
    return _words(kind)[1]


def duplicate_of(kind: str) -> str:
    """What sentences call one duplicate of a kind."""
    return _words(kind)[2]


def _words(kind: str) -> tuple[str, str, str]:
    if kind in kinds.NAMES:
        module = kinds.load(kind)
        return module.LEVEL, module.NAME, module.PHRASE
    return INJECTIONS.get(kind, (f"{kind} level", kind, f"a duplicate of kind {kind}"))


def symbol_of(kind: str) -> str:
    """The symbol of a kind's levels."""
    return level_name(kind).rsplit(" ", 1)[-1]


def ordered_settings(settings: Iterable[str]) -> list[str]:
    """Each setting once, numbers in their order: `k=10` before `k=100` before `k=random`."""
    return sorted(set(settings), key=lambda setting: [_rank(part) for part in setting.split(";")])


def _rank(label: str) -> tuple[str, float, str]:
    name, _, value = label.partition("=")
    try:
        return name, float(value), value
    except ValueError:
        return name, float("inf"), value


def split_score(name: str) -> tuple[str, str]:
    """`ratio_paper` -> (ratio, paper); `ratio` -> (ratio, corrected)."""
    suffix = f"_{PAPER}"
    return (name.removesuffix(suffix), PAPER) if name.endswith(suffix) else (name, CORRECTED)


def score_name(attack: str, variant: str) -> str:
    """The inverse of `split_score`."""
    return f"{attack}_{PAPER}" if variant == PAPER else attack


def attack_rank(attack: str) -> tuple[int, str]:
    """The place in the order of the list of attacks; others come last."""
    return scores.NAMES.index(attack) if attack in scores.NAMES else len(scores.NAMES), attack


def main_attack(attacks: Iterable[str]) -> str:
    """The attack that speaks for all where one is shown: `ratio`, as in every published rho; where it was not scored,
    the first of the list of attacks."""
    return min(attacks, key=lambda attack: (attack != MAIN_ATTACK, attack_rank(attack)), default=MAIN_ATTACK)


PUBLISHED_NAMES = {"minkprob": "min_k"}  # published name of an attack -> its name here
BASELINES = {"bag_of_words": ("bag of words", (drawing.GREY, "x", ":"))}  # computed without a model
UNKNOWN_STYLE = (drawing.GREY, "*", "-")
LABEL_NAMES = {"inserted_tokens": "X", "ngram": "n", "learning_rate": "rate"}
LABEL_WORDS = {
    "": "default", "inserted_tokens=inf": "X = ∞", "method=paper": "published walk", "k=random": "any token",
    "positions=same": "same positions", "positions=spread": "evenly spread",
}  # fmt: skip


def label_of(attack: str) -> str:
    """The name of an attack in figures."""
    return _drawn(attack)[0]


def style_of(attack: str) -> tuple[str, str, str]:
    """The colour, marker and dash of an attack in figures."""
    return _drawn(attack)[1]


def _drawn(attack: str) -> tuple[str, tuple[str, str, str]]:
    name = PUBLISHED_NAMES.get(attack, attack)
    if name in scores.NAMES:
        module = scores.load(name)
        return module.LABEL, module.STYLE
    return BASELINES.get(name, (attack, UNKNOWN_STYLE))


def setting_name(setting: str) -> str:
    """A setting as figures and words have it: `ngram=2;method=paper` is `n = 2, published walk`."""
    return ", ".join(LABEL_WORDS.get(part) or _label_name(part) for part in setting.split(";"))


def _label_name(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{LABEL_NAMES.get(name, name)} = {value}"
