"""What was found of texts, as lines for a terminal."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lib.base.errors import counted
from lib.corpus.trace import runs
from lib.corpus.trace.traces_file import EXTRACTABLE, extracted
from lib.reporting import cells
from lib.reporting.excerpts import AROUND, CHANGED, LACKING, SAME, SHARED, Excerpt, visible
from lib.statistics import proportions
from lib.studies.trace import answers
from lib.studies.trace.answers import Settings
from lib.studies.trace.indexed import Indexed

SPELLED = {SAME: "{}", AROUND: "{}", SHARED: "«{}»", CHANGED: "{{+{}+}}", LACKING: "[-{}-]"}
LEGEND = "«found in the corpus»   [-only in your text-]   {+only in the corpus+}   ↵ line end"
SHOWN = 20  # texts of a file
HEADER = ("text", "tokens", "longest run", "times", "first in", "document", "token")


def searched(corpus: Indexed) -> str:
    """What is searched, in a sentence."""
    without = ""
    if corpus.without:
        without = (
            f"; {counted(corpus.without, 'chunk')} without suffix array not searched (`{corpus.command}` makes them)"
        )
    return f"{corpus.run}: {corpus.n_tokens:,} tokens in {counted(len(corpus.chunks), 'chunk')}{without}"


def lines(excerpts: Sequence[Excerpt]) -> Iterator[str]:
    """Excerpts, with marks as LEGEND spells them."""
    for excerpt in excerpts:
        yield from ("", excerpt.title, f"  {excerpt.caption}")
        for one in (passage for row in excerpt.rows for passage in row):
            text = "".join(SPELLED[mark].format(visible(part)) for part, mark in one.segments)
            yield from (f"  {one.label}:", f"    {text}")
    yield from ("", LEGEND)


def of_many(corpus: Indexed, texts: Sequence[NDArray[np.int64]], settings: Settings) -> tuple[list[list[str]], str]:
    """Of many texts: those with the longest runs, a row for each as HEADER says, and what share of all is extractable.

    texts: ids of each.
    """
    found = [runs.of_query(corpus.indices, ids, settings.min_run) for ids in texts]
    longest = np.array([one.length.max(initial=0) for one in found])
    rows = []
    for text in np.argsort(-longest, kind="stable")[:SHOWN].tolist():
        row = [str(text), f"{len(texts[text]):,}", f"{longest[text]:,}"]
        rows.append([*row, *_longest(corpus, texts[text], found[text])])
    return rows, extractable(longest)


def _longest(corpus: Indexed, ids: NDArray[np.int64], found: runs.Runs) -> list[str]:
    """How often the longest run of a text stands in the corpus; chunk, document and token of the first place."""
    if not len(found.start):
        return ["0", "", "", ""]
    row = int(np.argmax(found.length))
    one = answers.count(corpus, ids, int(found.start[row]), int(found.length[row]), 1)
    times = f"{'' if one.exact else '≤ '}{one.count:,}"
    windows = [answers.window_of(corpus, *place, one.length) for place in one.places]
    return [times, *(cell for at in windows for cell in (at.chunk, f"{at.document:,}", f"{at.position:,}"))]


def extractable(longest: NDArray[np.int64]) -> str:
    """How many texts have a run that counts as extracted, and the interval of that share. longest: of each, (n,)."""
    n = int((longest >= EXTRACTABLE).sum())
    share = cells.percent_interval(n / len(longest), *map(float, proportions.wilson(n, len(longest))))
    return f"{extracted(longest)}; share {share} (Wilson, 95 %)"
