"""The evidence of membership that the windows of texts give, and the scores of texts by it."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from lib.attacks import scores
from lib.audit import summary, texts_file, windows
from lib.audit.summary import Scored
from lib.audit.texts_file import AuditedTexts

ATTACKS = ("loss", "min_k", "min_k_plus_plus", "zlib_bits")  # that windows alone give evidence for
ROWS = ("log_probs", "mu", "sigma")


def of_texts(
    scored: Scored, texts: AuditedTexts, attacks: Collection[str], reference: NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """The score of each text by each of the attacks, (texts,), higher = member, NaN for one without windows; `ratio` as
    well if there is a reference.

    Tokens count once for every suffix that they are in, but for `zlib_bits`, which needs each token of the text once.
    reference: the mean log-probability of a token of all suffixes under a reference model, in its own tokens, (texts,).
    """
    there = np.unique(scored.text)
    evidence = {name: summary.rows_by_text(rows, scored.text, len(texts.text)) for name, rows in _rows(scored).items()}
    given: dict = {name: [rows[number] for number in there] for name, rows in evidence.items()}
    found = scores.compute(given if reference is None else {**given, "reference_means": reference[there]})
    if "zlib_bits" in attacks:
        once = [_once(scored, number) for number in there]
        examined = [_examined(scored, texts, number) for number in there]
        found["zlib_bits"] = scores.compute({"log_probs": once, "texts": examined})["zlib_bits"]
    wanted = [*attacks, *(["ratio"] if reference is not None else [])]
    return {name: _spread(found[name], there, len(texts.text)) for name in wanted}


def _rows(scored: Scored) -> Mapping[str, NDArray[np.floating]]:
    return {name: rows for name in ROWS if (rows := getattr(scored, name)) is not None}


def _once(scored: Scored, number: int) -> NDArray[np.floating]:
    """ln p of every token of a text that is in a suffix, in the first window with it: the one that knows most of what
    stands before."""
    mine = scored.of_text(number)
    suffix = scored.start[mine].astype(np.int64)[:, None] + scored.cut.prompt_tokens
    _, first = np.unique(suffix + np.arange(scored.cut.suffix_tokens), return_index=True)
    return scored.log_probs[mine].ravel()[first]


def _examined(scored: Scored, texts: AuditedTexts, number: int) -> str:
    """The characters of these tokens."""
    starts = scored.start[scored.of_text(number)]
    spans = windows.spans(starts, np.ones(len(starts), dtype=bool), scored.cut)
    return "".join(texts_file.passage(texts, number, begin, end) for begin, end in spans.tolist())


def _spread(values: NDArray[np.float64], there: NDArray[np.integer], n_texts: int) -> NDArray[np.float64]:
    column = np.full(n_texts, np.nan)
    column[there] = values
    return column
