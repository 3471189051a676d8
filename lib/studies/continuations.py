"""Which continuations a report shows, and how: what a model wrote beside the true text, their longest match marked."""

import re

import numpy as np
from numpy.typing import NDArray

from lib.base.seeds import generator
from lib.reporting.excerpts import CUT, SAME, Passage, passage, shared

RULE = (
    "Shown are the most remembered prompt (the longest match from the first token, then the suffix with the most "
    "different words), the least remembered one (the shortest match, then the least edit similarity), and one drawn "
    "from the others."
)
MOST, LEAST, DRAWN = "The most remembered", "The least remembered", "Drawn"
PROMPT = 240  # last characters of a prompt
BEYOND = 80  # characters of a continuation beyond the length of the true text


def chosen(matched: NDArray, similarity: NDArray, variety: NDArray) -> dict[str, int]:
    """Why a row is shown -> the row, by RULE; of equal ones the first.

    matched, similarity, variety: (n,): tokens before the first wrong one, edit similarity, different words of the true
    suffix. The draw depends on n alone.
    """
    rows, matched = np.arange(len(matched)), matched.astype(np.int64)  # counts are stored without a sign
    most = int(np.lexsort((rows, -variety, -matched))[0])
    least = int(np.lexsort((rows, similarity, matched))[0])
    others = np.setdiff1d(rows, [most, least])
    drawn = {DRAWN: int(generator(0, "shown prompt", len(rows)).choice(others))} if len(others) else {}
    return {MOST: most, **({LEAST: least} if least != most else {}), **drawn}


def variety(text: str) -> int:
    """How many different words a text has: blank lines and repeated signs have few."""
    return len(set(re.findall(r"\w+", text)))


def passages(why: str, matched: str, prompt: str, wrote: str, true: str) -> list[list[Passage]]:
    """Two rows: the end of a prompt; what a model wrote beside the true text. matched: how much of it was repeated."""
    opening = (CUT if len(prompt) > PROMPT else "") + prompt[-PROMPT:]
    most = len(true) + BEYOND
    one, other = shared(wrote[:most] + (CUT if len(wrote) > most else ""), true)
    return [
        [passage(f"{why}: the prompt", [(opening, SAME)])],
        [passage(f"The model wrote ({matched})", one), passage("The true text", other)],
    ]
