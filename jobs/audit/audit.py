"""What the scored windows say of each text: what of it is extracted, and how its membership scores.

    python -m jobs audit --config FILE --out DIR

FILE holds:

    inputs: {windows: [DIR, ...], texts: audited.h5}     # all parts of the stage score_windows

Result audit.h5. One row a window in the group `windows`: `text`, `start`, `log_p` (ln p_z of top-k sampling at
temperature 1, -inf where it cannot draw the suffix), `log_p_own` (of the model's own distribution), `matched` (tokens
that greedy decoding repeats). One row a text in the group `texts`: `tokens`, `windows`; `examined` (tokens in a
suffix); for each of `thresholds` of p_z `covered` (tokens in suffixes of windows that reach it), `span_begin`,
`span_end` (the longest run of such tokens); `scores/<attack>`, membership by the tokens of all suffixes, higher =
member, NaN without windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.attacks import scores
from lib.audit import summary, texts_file
from lib.audit.summary import Scored
from lib.audit.windows import Cut
from lib.base import hdf5, places
from lib.base.errors import TesseraError

VERSION = 1
INPUTS = ("windows", "texts")
LISTS = ("windows",)
ATTACKS = ("loss", "min_k")  # those that need the log-probabilities of tokens alone
SAME = ("prompt_tokens", "suffix_tokens", "stride", "top_k", "bos", "dtype", "parts")


@dataclass(frozen=True)
class Config:
    """When a window counts as extracted.

    thresholds: of p_z under top-k sampling, rising; the first one is the one that excerpts and sentences use
    """

    thresholds: tuple[float, ...] = summary.THRESHOLDS

    def __post_init__(self) -> None:
        """Raise ValueError for thresholds that are no probabilities, or do not rise."""
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"thresholds is {list(self.thresholds)}; it must be at least one number, rising")
        if not all(0 < one <= 1 for one in self.thresholds):
            raise ValueError(f"thresholds is {list(self.thresholds)}; each must be above 0 and at most 1")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Put the parts together, sum up, write."""
    texts = texts_file.read(store.find(inputs["texts"], places.AUDITED))
    scored, about = together([store.find(path, places.WINDOWS) for path in inputs["windows"]])
    of_windows = summary.of_windows(scored)
    of_texts = summary.of_texts(scored, of_windows["log_p"], texts.lengths(), config.thresholds)
    counts = np.bincount(scored.text, minlength=len(texts.text))
    with hdf5.create(out / places.AUDIT) as file:
        file.attrs.update({**about, "thresholds": np.array(config.thresholds)})
        _write(file.create_group("windows"), {"text": scored.text, "start": scored.start, **of_windows})
        _write(file.create_group("texts"), {"tokens": texts.lengths(), "windows": counts, **of_texts})
        _write(file.create_group("texts/scores"), membership(scored, len(texts.text)))
    share = (of_windows["log_p"] >= np.log(config.thresholds[0])).mean()
    print(f"audit: {100 * share:.3g} % of {len(scored.text)} windows have p_z of at least {config.thresholds[0]:g}")


def together(files: Sequence[Path]) -> tuple[Scored, dict[str, Any]]:
    """The windows of all parts, and what they were made with. Raises TesseraError unless every part is there once."""
    about = [hdf5.attributes(file) for file in files]
    parts, more = sorted(int(one["part"]) for one in about), len(files) - 1
    if parts != list(range(int(about[0]["parts"]))) or any(one[key] != about[0][key] for one in about for key in SAME):
        raise TesseraError(f"{files[0]} and {more} more are not all parts of one scoring; give each part once")
    ordered = [file for _, file in sorted(zip((int(one["part"]) for one in about), files))]
    columns = {
        name: np.concatenate([hdf5.read(file, name) for file in ordered])
        for name in ("text", "start", "log_probs", "rank", "top_k_mass")
    }
    cut = Cut(*(int(about[0][name]) for name in ("prompt_tokens", "suffix_tokens", "stride")))
    return Scored(**columns, cut=cut, top_k=int(about[0]["top_k"])), {name: about[0][name] for name in SAME}


def membership(scored: Scored, n_texts: int) -> dict[str, np.ndarray]:
    """The score of each text by each of ATTACKS, (texts,), NaN for one without windows."""
    rows = summary.rows_by_text(scored.log_probs, scored.text, n_texts)
    there = np.array([len(row) > 0 for row in rows])
    found = scores.compute({"log_probs": [row for row in rows if len(row)]})
    columns = {}
    for name in ATTACKS:
        columns[name] = np.full(n_texts, np.nan)
        columns[name][there] = found[name]
    return columns


def _write(group: Any, columns: dict[str, Any]) -> None:
    for name, values in columns.items():
        hdf5.write(group, name, np.asarray(values))
