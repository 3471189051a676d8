"""Documents of a text file of this suite, in order or shuffled."""

from lib.base.seeds import generator


def shuffled(texts: list[str], seed: int) -> list[str]:
    """The texts in a drawn order, so that the leading ones are of every package."""
    return [texts[index] for index in generator(seed, "pre-training texts").permutation(len(texts))]


def leading(texts: list[str], characters: int) -> list[str]:
    """The first texts that have `characters` together, or all."""
    total, kept = 0, []
    for text in texts:
        if total >= characters:
            break
        kept.append(text)
        total += len(text)
    return kept
