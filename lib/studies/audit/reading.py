"""An audit as its stages left it on disk, read into arrays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.audit import texts_file, tokens, windows
from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut
from lib.base import hdf5

CONTROLS = "controls"  # the collection that the others are compared with
WINDOWS = ("text", "start", "log_p", "log_p_own", "matched")
OF_REFERENCE = ("bytes", "reference_log_p", "reference_bytes")  # columns of windows, with a reference model
TEXTS = ("tokens", "windows", "examined", "covered", "span_begin", "span_end")
SCORES, GAP, FUZZY = "texts/scores/", "texts/gap", "fuzzy/"
MARGINS = ("margin", "gap")  # under the model; less that under the reference
OF_TOKENS = {"log_probs": np.nan, "likeliest": -1}  # of windows.h5; what a token in no suffix has


@dataclass(frozen=True)
class Fuzzy:
    """Windows of a collection against their fuzzy duplicates.

    text, start: (windows,), text rising; margins: measure -> by how much each is likelier than each of its duplicates,
    nats, (windows, numbers of replaced tokens, variations): `margin` under the model, and with a reference model `gap`,
    less the same under the reference; replaced: the numbers.
    """

    text: np.ndarray
    start: np.ndarray
    margins: dict[str, np.ndarray]
    replaced: tuple[int, ...]


@dataclass(frozen=True)
class Audited:
    """One collection of texts under one model.

    windows: column -> (windows,); of_texts: column -> (texts,) or (texts, thresholds); scores: attack -> (texts,); see
    jobs/audit/audit.py. thresholds: of p_z, rising. gap: the log-probability of a byte less that under the reference
    model, (texts,), if there is one. of_tokens: name -> a row (tokens,) for each text, by the first window whose suffix
    holds a token; empty where windows.h5 was not read.
    """

    model: str
    collection: str
    texts: AuditedTexts
    windows: dict[str, np.ndarray]
    of_texts: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    thresholds: tuple[float, ...]
    cut: Cut
    top_k: int
    gap: np.ndarray | None = None
    fuzzy: Fuzzy | None = None
    of_tokens: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)

    @property
    def there(self) -> np.ndarray:
        """The texts that have a window, rising."""
        return np.flatnonzero(self.of_texts["windows"] > 0)

    def of_text(self, number: int) -> slice:
        """The rows of a text's windows, which stand together."""
        low, high = np.searchsorted(self.windows["text"], [number, number + 1])
        return slice(int(low), int(high))

    def spans(self, number: int) -> np.ndarray:
        """The spans of a text at the first threshold, (n, 2) tokens, half open."""
        mine = self.of_text(number)
        chosen = self.windows["log_p"][mine] >= np.log(self.thresholds[0])
        return windows.spans(self.windows["start"][mine], chosen, self.cut)

    def longest(self, number: int) -> str:
        """The longest span of a text at the first threshold, as text."""
        begin, end = (int(self.of_texts[name][number, 0]) for name in ("span_begin", "span_end"))
        return texts_file.passage(self.texts, number, begin, end)

    def best(self) -> list[np.ndarray]:
        """The largest ln p_z of a window whose suffix holds a token, (tokens,) for each text; NaN in no suffix."""
        log_p, text, start = (self.windows[name] for name in ("log_p", "text", "start"))
        return tokens.of_texts(log_p[:, None], log_p, text, start, self.texts.lengths(), self.cut)

    def units(self) -> list[np.ndarray]:
        """The texts of each document: those of a group, a text without one alone; only texts that have a window."""
        found: dict[Any, list[int]] = {}
        for number in self.there.tolist():
            found.setdefault(self.texts.group[number] or number, []).append(number)
        return [np.array(rows) for rows in found.values()]


def read(model: str, collection: str, audit: Path, texts: Path, scored: Sequence[Path] = ()) -> Audited:
    """What the stages `audit`, `audit_texts` and `score_windows` wrote. Raises TesseraError naming a file that is not
    theirs.

    scored: all parts of windows.h5; without them there is nothing of single tokens.
    """
    about, there = hdf5.attributes(audit), hdf5.rows(audit)
    given = texts_file.read(texts)
    cut = Cut(*(int(about[name]) for name in ("prompt_tokens", "suffix_tokens", "stride")))
    names = [name.removeprefix(SCORES) for name in there if name.startswith(SCORES)]
    return Audited(
        model=model,
        collection=collection,
        texts=given,
        windows={
            name: hdf5.read(audit, f"windows/{name}") for name in (*WINDOWS, *(OF_REFERENCE if GAP in there else ()))
        },
        of_texts={name: hdf5.read(audit, f"texts/{name}") for name in TEXTS},
        scores={name: hdf5.read(audit, f"{SCORES}{name}") for name in names},
        thresholds=tuple(np.asarray(about["thresholds"]).tolist()),
        cut=cut,
        top_k=int(about["top_k"]),
        gap=hdf5.read(audit, GAP) if GAP in there else None,
        fuzzy=_fuzzy(audit, there, about) if f"{FUZZY}text" in there else None,
        of_tokens=_of_tokens(scored, given.lengths(), cut) if scored else {},
    )


def without_names(one: Audited) -> Audited:
    """The audit with numbers in place of names and groups of texts: who is meant may be in them. A number is the place
    of a text in audited.h5, counted from 1, and of a group by its first text."""
    groups = {name: f"group {number}" for number, name in enumerate(dict.fromkeys(filter(None, one.texts.group)), 1)}
    numbered = replace(
        one.texts,
        name=[f"text {number}" for number in range(1, len(one.texts.name) + 1)],
        group=[groups.get(name, "") for name in one.texts.group],
    )
    return replace(one, texts=numbered)


def _fuzzy(audit: Path, there: Collection[str], about: Mapping[str, Any]) -> Fuzzy:
    margins = {name: hdf5.read(audit, FUZZY + name) for name in MARGINS if FUZZY + name in there}
    text, start = (hdf5.read(audit, f"{FUZZY}{name}") for name in ("text", "start"))
    return Fuzzy(text, start, margins, tuple(np.asarray(about["replaced_tokens"]).tolist()))


def _of_tokens(files: Sequence[Path], lengths: Sequence[int], cut: Cut) -> dict[str, list[np.ndarray]]:
    """What all files have of OF_TOKENS."""
    text, start = (np.concatenate([hdf5.read(file, name) for file in files]).astype(np.int64) for name in WINDOWS[:2])
    found = {}
    for name, nothing in OF_TOKENS.items():
        if all(name in hdf5.rows(file) for file in files):
            values = np.concatenate([hdf5.read(file, name) for file in files])
            signed = values.astype(np.int64) if values.dtype.kind == "u" else values
            found[name] = tokens.of_texts(signed, -start, text, start, lengths, cut, nothing)
    return found
