"""Which near-duplicates the report shows, by rule: the first one of the first passage of each kind and level."""

from collections.abc import Iterator
from pathlib import Path

from lib.base import hdf5, places
from lib.plans.plan import Plan, Task
from lib.reporting.excerpts import SAME, Excerpt, passage
from lib.studies import texts
from lib.texts import records

CAPTION = (
    "The first passage of the first seed that has near-duplicates of this kind, as the model was trained on it, and "
    "the first of these, with what differs. Numbers are those of verses: 40005003 is verse 3 of chapter 5 of book 40."
)


def make(root: Path, plan: Plan, task: Task, planted: Path) -> Iterator[Excerpt]:
    """An excerpt for each kind and level. task: that of the folder `planted`, which was compared already."""
    from lib.tokens.tokenization import encode

    tokenizer = texts.tokenizer(root, plan, str(task.inputs["tokenizer"]))
    decode = texts.decoder(root, plan, str(task.inputs["tokenizer"]))
    copies = _copies(planted / places.TEXT)
    originals = list(records.read(planted / places.PLANTED_PASSAGES, records.MADE))
    for name, row in _first_rows(planted / places.PLANTED).items():
        original = originals[row]
        near = next(text for text in copies[f"passage {row}"] if text != original.text)
        differing = texts.differences(decode, encode(tokenizer, original.text), encode(tokenizer, near))
        pair = [passage(f"The passage, from {original.name}", [(original.text, SAME)]), passage(name, differing)]
        yield Excerpt(f"Near-duplicates: {name}", CAPTION, [[one] for one in pair])


def _copies(text: Path) -> dict[str, list[str]]:
    """Name of a document -> its texts, in their order."""
    found: dict[str, list[str]] = {}
    for name, copy in zip(hdf5.read_texts(text, "train_names"), hdf5.read_texts(text, "train")):
        found.setdefault(name, []).append(copy)
    return found


def _first_rows(planted: Path) -> dict[str, int]:
    """Kind and level of near-duplicates in words -> the first passage that has some."""
    settings, levels, near = hdf5.read_texts(planted, "setting"), *(hdf5.read(planted, n) for n in ("level", "near"))
    found: dict[str, int] = {}
    for row in near.nonzero()[0].tolist():
        found.setdefault(settings[row] or f"{levels[row]} replaced tokens", row)
    return dict(sorted(found.items(), key=lambda item: (levels[item[1]], item[0])))
