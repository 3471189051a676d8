"""The prompts that the report of a prefix sweep shows, with what each model wrote."""

from collections.abc import Iterator, Sequence

import numpy as np

from lib.reporting.excerpts import Excerpt, Passage
from lib.studies import continuations
from lib.studies.prefix import words
from lib.studies.prefix.tables import Attack, Texts

MOST = 12  # models


def make(attack: Attack) -> Excerpt:
    """Three prompts of an attack by the rule of `continuations`. Raises ValueError when it has no texts."""
    if attack.texts is None:
        raise ValueError(f"{attack.model}: it has no texts")
    columns = attack.columns
    variety = np.array([continuations.variety(text) for text in attack.texts.suffix])
    rows = continuations.chosen(columns["matched_tokens"], columns["edit_similarity"], variety)
    how = words.title_of(attack.prompt_tokens) + (f", {attack.decoding}" if attack.decoding else "")
    passages = [row for why, number in rows.items() for row in _passages(attack, attack.texts, why, number)]
    return Excerpt(f"{attack.model}, {how}", continuations.RULE, passages)


def _passages(attack: Attack, texts: Texts, why: str, row: int) -> list[list[Passage]]:
    file, number = texts.source(row)
    source = f"{file}, its document {number:,}" if file else ""
    where = ", ".join(filter(None, [f"document {attack.document[row]:,}", source, str(attack.subset[row])]))
    matched = f"{attack.columns['matched_tokens'][row]} of {attack.suffix_tokens} tokens repeated"
    return continuations.passages(
        f"{why} ({where})", matched, texts.prompt[row], texts.continuation[row], texts.suffix[row]
    )


def shown(found: Sequence[tuple[Attack, Excerpt]]) -> Iterator[Excerpt]:
    """Of every model the excerpt of its longest prompts, in its first decoding and draw; of at most MOST models.

    found: attacks (without their texts) in order, with their excerpts.
    """
    longest: dict[str, tuple[int, Excerpt]] = {}
    for attack, excerpt in found:
        if attack.prompt_tokens > longest.get(attack.model, (0, None))[0]:
            longest[attack.model] = attack.prompt_tokens, excerpt
    more = f" {MOST} of {len(longest)} models are shown." if len(longest) > MOST else ""
    for _, excerpt in list(longest.values())[:MOST]:
        yield Excerpt(excerpt.title, excerpt.caption + more, excerpt.rows)
