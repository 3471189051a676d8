"""Token ids as texts of a report: their tokenizer, the characters that each token stands for, how two texts differ.

Reports show the texts that results rest on. What is shown is chosen by a rule that the caption states, never by hand.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein, Prefix

from lib.artifacts import store
from lib.base import places
from lib.base.errors import Damaged, TesseraError
from lib.base.ragged import Ids
from lib.plans.finished import directory
from lib.plans.plan import Plan
from lib.reporting.excerpts import CHANGED, LACKING, SAME, Excerpt, Segment

TITLE = "Not shown"
LEFT_OUT = "The variable show_texts of the sweep is false."
HALF = "\N{REPLACEMENT CHARACTER}"  # what an incomplete character decodes to

Decode = Callable[[Ids], str]


def shown(root: Path, plan: Plan, make: Callable[[], Iterable[Excerpt]]) -> list[Excerpt]:
    """The excerpts that `make` gives, or one that says why there are none: `show_texts` is false, or what they are
    made from is gone. Raises Damaged for a file that is not what was written."""
    if not plan.show_texts:
        return [Excerpt(TITLE, LEFT_OUT)]
    try:
        return list(make())
    except Damaged:
        raise
    except TesseraError as error:
        reason = str(error).replace(f"{root}{os.sep}", "")  # a report is the same wherever its artifacts lie
        return [Excerpt(TITLE, f"The texts cannot be shown: {reason}.")]


def decoder(root: Path, plan: Plan, digest: str) -> Decode:
    """What turns ids of the tokenizer in the artifact of a task into text; as `tokenizer`."""
    from lib.tokens.tokenization import decode

    found = tokenizer(root, plan, digest)
    return lambda ids: decode(found, ids)


def tokenizer(root: Path, plan: Plan, digest: str) -> Any:
    """The tokenizer in the artifact of a task. torch is imported only for one whose class transformers has to look up.

    Every file but weights is compared first; they may have been dropped. Raises Damaged naming one that differs,
    TesseraError for an artifact without a tokenizer.
    """
    from lib.models import loading

    place = directory(root, plan.tasks[digest])
    for name, entry in store.present(place, store.read_done(place)).items():
        if not name.endswith(places.WEIGHTS):
            store.compare(place / name, entry)
    return loading.load_tokenizer(place)


def pieces(decode: Decode, ids: Ids, ends: Sequence[int]) -> Iterator[str]:
    """The text of `ids`, cut behind the tokens at `ends` (ascending, the last one len(ids)).

    The pieces join to decode(ids). A character whose bytes are in several tokens goes to the piece of its last one.
    """
    whole = decode(ids)
    heads = (Prefix.similarity(decode(ids[:end]).rstrip(HALF), whole) for end in ends[:-1])
    cuts = itertools.accumulate([0, *heads], max)
    return (whole[start:stop] for start, stop in itertools.pairwise([*cuts, len(whole)]))


def differences(decode: Decode, original: Ids, changed: Ids) -> list[Segment]:
    """How `changed` differs from `original`, in the fewest edits of tokens (Levenshtein 1966): its text with the tokens
    of the original that it lacks, both marked."""
    steps = Levenshtein.opcodes(list(original), list(changed))
    if not steps:
        return []
    before, after = (
        pieces(decode, ids, [getattr(step, end) for step in steps])
        for ids, end in ((original, "src_end"), (changed, "dest_end"))
    )
    segments: list[Segment] = []
    for step, old, new in zip(steps, before, after):
        segments += [(new, SAME)] if step.tag == "equal" else [(old, LACKING), (new, CHANGED)]
    return [(text, mark) for text, mark in segments if text]


def three(values: Sequence) -> list:
    """The first, the middle and the last of some values; all of them where there are fewer."""
    places_ = sorted({0, (len(values) - 1) // 2, len(values) - 1}) if len(values) else []
    return [values[place] for place in places_]
