"""How the study on fuzzy duplicates calls its kinds, levels, settings and scores."""

from collections.abc import Iterable

EXACT = "exact"
NO_INJECTION = "none"
CORRECTED, PAPER = "corrected", "paper"

# What the levels of a kind count, ending in their symbol.
LEVELS = {
    EXACT: "exact copies ν", "replace": "replaced tokens R", "insert": "tokens that stay together n",
    "scramble": "tokens that stay together n", "shuffle": "Kendall distance τ", "paraphrase": "rephrasings N",
    "near_duplicates": "edits up to d",
}  # fmt: skip


def level_name(kind: str) -> str:
    """What the levels of a kind count, ending in their symbol: `replaced tokens R`."""
    return LEVELS.get(kind, f"{kind} level")


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


LABELS = {
    "loss": "loss", "ratio": "ratio", "zlib": "zlib", "lowercase": "lowercase", "min_k": "min-k", "minkprob": "min-k",
    "min_k_plus_plus": "min-k++", "zlib_bits": "zlib bits", "recall": "ReCaLL", "bag_of_words": "bag of words",
    "wbc": "WBC", "ez": "EZ",
}  # fmt: skip
KINDS = {
    EXACT: "exact copies", "replace": "replacement", "insert": "insertion", "scramble": "scrambling",
    "shuffle": "shuffling", "paraphrase": "paraphrases", "near_duplicates": "near-duplicates of a corpus",
}  # fmt: skip
LABEL_NAMES = {"inserted_tokens": "X", "ngram": "n", "learning_rate": "rate"}
LABEL_WORDS = {
    "": "default", "inserted_tokens=inf": "X = ∞", "method=paper": "published walk", "k=random": "any token",
    "positions=same": "same positions", "positions=spread": "evenly spread",
}  # fmt: skip


def label_of(attack: str) -> str:
    """The name of an attack in figures."""
    return LABELS.get(attack, attack)


def setting_name(setting: str) -> str:
    """A setting as figures and words have it: `ngram=2;method=paper` is `n = 2, published walk`."""
    return ", ".join(LABEL_WORDS.get(part) or _label_name(part) for part in setting.split(";"))


def _label_name(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{LABEL_NAMES.get(name, name)} = {value}"


DUPLICATES = {
    "replace": "a duplicate with replaced tokens", "insert": "a duplicate with tokens inserted between its n-grams",
    "scramble": "a duplicate whose n-grams are scattered over the document",
    "shuffle": "a duplicate with its n-grams in another order", "paraphrase": "a paraphrase",
    "near_duplicates": "a near-duplicate that a corpus holds",
}  # fmt: skip
