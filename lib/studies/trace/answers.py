"""What a corpus has of a text: its longest exact runs with counts and places, and near-duplicates, as passages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.base.errors import UsageError, counted
from lib.corpus import chunks
from lib.corpus.trace import near, runs
from lib.reporting.excerpts import AROUND, SAME, SHARED, Excerpt, Passage, Segment, passage
from lib.studies import texts
from lib.studies.corpus.excerpts import Window, window_at
from lib.studies.trace.indexed import Indexed
from lib.tokens.tokenization import decode, encode


@dataclass(frozen=True)
class Settings:
    """What is looked for, and how much of it is shown.

    min_run: tokens of the shortest run; window: tokens of a window of the text whose near-duplicates are looked for;
    max_edits: how far they may be, in tokens; None is a tenth of the window's length. most_runs, most_places: shown at
    most, of the text, and of each run and window; around: tokens that are shown before and behind.
    """

    min_run: int = 10
    window: int = 100
    max_edits: int | None = None
    most_runs: int = 10
    most_places: int = 3
    around: int = 20

    def __post_init__(self) -> None:
        """Raise UsageError for a run or a window of nothing."""
        for name, least in (("min_run", 1), ("window", 1), ("max_edits", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value < 1 << 16:
                raise UsageError(f"{name} is {value}; it must be {least} to 65535")


@dataclass(frozen=True)
class Run:
    """A run of the text: where it begins, its tokens, how often it stands in the corpus (at most that often if not
    exact), and some places: index of the chunk, position."""

    start: int
    length: int
    count: int
    exact: bool
    places: list[tuple[int, int]]


@dataclass(frozen=True)
class Near:
    """A window of the text, how many near-duplicates it has, exact copies included, and the nearest others: distance,
    index of the chunk, position."""

    start: int
    length: int
    count: int
    nearest: list[tuple[int, int, int]]


@dataclass(frozen=True)
class Answer:
    """What was found of a text: ids (n,); all runs that are long enough; the longest of them, counted; near-duplicates
    of its windows."""

    ids: NDArray[np.int64]
    runs: runs.Runs
    shown: Sequence[Run]
    near: Sequence[Near]


def of_text(corpus: Indexed, text: str, settings: Settings) -> list[Excerpt]:
    """What is shown of a text. Raises UsageError for an empty one."""
    return excerpts(corpus, ask(corpus, ids_of(corpus, text), settings), settings)


def ids_of(corpus: Indexed, text: str) -> NDArray[np.int64]:
    """A text as ids of the corpus's tokenizer. Raises UsageError for an empty one."""
    found = np.array(encode(corpus.tokenizer, text), np.int64)
    if not len(found):
        raise UsageError("the text is empty; give one that has at least a token")
    return found


def ask(corpus: Indexed, ids: NDArray[np.int64], settings: Settings) -> Answer:
    """What the corpus has of a text, given as ids (n,)."""
    found = runs.of_query(corpus.indices, ids, min(settings.min_run, len(ids)))
    order = np.argsort(-found.length, kind="stable")[: settings.most_runs]
    most = settings.most_places
    shown = [count(corpus, ids, int(found.start[row]), int(found.length[row]), most) for row in order]
    return Answer(ids, found, shown, list(_near(corpus, ids, settings)))


def count(corpus: Indexed, ids: NDArray[np.int64], start: int, length: int, most: int) -> Run:
    """A run of a text with its count over all chunks, and its first `most` places."""
    each = [runs.occurrences(index, ids[start : start + length], most) for index in corpus.indices]
    places = [(chunk, int(position)) for chunk, one in enumerate(each) for position in one.positions]
    return Run(start, length, sum(one.count for one in each), all(one.exact for one in each), places[:most])


def window_of(corpus: Indexed, chunk: int, position: int, length: int) -> Window:
    """The tokens of a chunk from `position`, and where they stand."""
    return window_at(corpus.chunks[chunk], position, length)


def _near(corpus: Indexed, ids: NDArray[np.int64], settings: Settings) -> Iterator[Near]:
    found: list[tuple[int, int, int, int]] = []
    for chunk, (one, index) in enumerate(zip(corpus.chunks, corpus.indices)):
        hits = near.of_queries(index, one.tokens, [ids], settings.window, settings.max_edits)
        found += ((start, distance, chunk, at) for _, start, _, at, distance in zip(*map(np.ndarray.tolist, hits)))
    starts, length = near.windows(len(ids), settings.window)
    for start in starts.tolist():
        here = sorted(row[1:] for row in found if row[0] == start)
        yield Near(start, length, len(here), [row for row in here if row[0]][: settings.most_places])


def excerpts(corpus: Indexed, answer: Answer, settings: Settings) -> list[Excerpt]:
    """What is shown of an answer: the text with its runs marked, each run where it stands, near-duplicates with their
    differences. The windows of the corpus that are shown are compared with what was written."""
    _check(corpus, answer, settings.around)
    text = passage("The text; runs that stand in the corpus are marked", _marked(corpus, answer))
    caption = f"{counted(len(answer.ids), 'token')}; {counted(len(answer.runs.start), 'run')}"
    found = [Excerpt("The text", f"{caption} of at least {min(settings.min_run, len(answer.ids))} tokens.", [[text]])]
    found += [_of_run(corpus, answer, run, settings.around) for run in answer.shown]
    return found + [_of_window(corpus, answer, one) for one in answer.near if one.nearest]


def _check(corpus: Indexed, answer: Answer, around: int) -> None:
    """Raise Damaged unless all text that is shown is what was written."""
    places = [(*place, run.length) for run in answer.shown for place in run.places]
    places += [(chunk, position, one.length) for one in answer.near for _, chunk, position in one.nearest]
    for chunk, position, length in places:
        low = max(position - around, 0)
        chunks.check(corpus.chunks[chunk], low, position + length + around)


def _marked(corpus: Indexed, answer: Answer) -> list[Segment]:
    covered = np.zeros(len(answer.ids) + 1, np.int64)
    np.add.at(covered, answer.runs.start, 1)
    np.add.at(covered, answer.runs.start + answer.runs.length, -1)
    marked = np.cumsum(covered[:-1]) > 0
    ends = [*(np.flatnonzero(np.diff(marked)) + 1).tolist(), len(marked)]
    parts = texts.pieces(_decode(corpus), answer.ids.tolist(), ends)
    return [(text, SHARED if marked[end - 1] else SAME) for text, end in zip(parts, ends)]


def _of_run(corpus: Indexed, answer: Answer, run: Run, around: int) -> Excerpt:
    times = f"{'' if run.exact else 'at most '}{counted(run.count, 'time')}"
    title = f"A run of {counted(run.length, 'token')}, {times} in the corpus"
    caption = f"Tokens {run.start:,} to {run.start + run.length - 1:,} of the text."
    return Excerpt(title, caption, [[_placed(corpus, *place, run.length, around)] for place in run.places])


def _placed(corpus: Indexed, chunk: int, position: int, length: int, around: int) -> Passage:
    """A run in the corpus, and what stands around it in its document."""
    one, window = corpus.chunks[chunk], window_of(corpus, chunk, position, length)
    begin = position - window.position
    end = int(one.offsets[window.document + 1])
    low, high = max(begin, position - around), min(end, position + length + around)
    ids, ends = one.tokens[low:high].tolist(), [position - low, position - low + length, high - low]
    before, run, behind = texts.pieces(_decode(corpus), ids, ends)
    return passage(window.place, [(before, AROUND), (run, SHARED), (behind, AROUND)])


def _of_window(corpus: Indexed, answer: Answer, found: Near) -> Excerpt:
    target = answer.ids[found.start : found.start + found.length].tolist()
    title = f"{counted(found.count, 'near-duplicate')} of tokens {found.start:,} to {found.start + found.length - 1:,}"
    rows = []
    for distance, chunk, position in found.nearest:
        window = window_of(corpus, chunk, position, found.length)
        differing = texts.differences(_decode(corpus), target, window.ids)
        rows.append([passage(f"{counted(distance, 'edit')} away; {window.place}", differing)])
    return Excerpt(title, "Exact copies are counted, and not shown here.", rows)


def _decode(corpus: Indexed) -> Callable:
    return lambda ids: decode(corpus.tokenizer, ids)
