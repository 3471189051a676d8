"""The canaries that the report of an extraction sweep shows, with what the fine-tuned model wrote."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lib.reporting.excerpts import Passage
from lib.studies import continuations
from lib.studies.texts import Decode


def passages(
    decode: Decode, canaries: NDArray, prompt_tokens: int, columns: Mapping[str, NDArray]
) -> Iterator[list[Passage]]:
    """Three members by the rule of `continuations`. canaries: (n, length) ids; columns: of extracted.h5, where ids
    below 0 fill a continuation that ended early."""
    made = columns["continuation"]
    suffixes = canaries[:, prompt_tokens : prompt_tokens + made.shape[1]]
    variety = np.array([continuations.variety(decode(suffix)) for suffix in suffixes])
    rows = continuations.chosen(columns["matched_tokens"], columns["edit_similarity"], variety)
    for why, row in rows.items():
        wrote, matched = made[row][made[row] >= 0], columns["matched_tokens"][row]
        yield from continuations.passages(
            f"{why} (canary {row + 1} of {len(canaries)})", f"{matched} of {made.shape[1]} tokens repeated",
            decode(canaries[row, :prompt_tokens]), decode(wrote), decode(suffixes[row]),
        )  # fmt: skip
