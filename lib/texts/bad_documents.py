"""Documents that cannot be read, among others that can: an error that names them, or counted and taken as empty."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lib.base.errors import TesseraError, counted, verb

SHOWN = 5  # of the skipped ones are named


@dataclass(frozen=True)
class Bad:
    """A document without text. where: file and line or row; reason: what it is counted by; message: what is so."""

    where: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass
class Skipped:
    """How many of `documents` were bad, by reason, and which were the first.

    most: as many as may be (int), or as large a share of the documents (float).
    """

    most: int | float
    documents: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    def texts(self, items: Iterable[str | Bad]) -> Iterator[str]:
        """The documents with an empty one in the place of each bad one, so that numbers stay.

        Raises TesseraError at the first one beyond `most`; a share is compared at the end, by `check`.
        """
        for item in items:
            self.documents += 1
            if isinstance(item, Bad):
                self.reasons[item.reason] += 1
                self.first = [*self.first, str(item)][:SHOWN]
                if isinstance(self.most, int):
                    self.check()
            yield "" if isinstance(item, Bad) else item

    def add(self, other: "Skipped") -> None:
        """Count what another reader skipped after what this one did."""
        self.documents += other.documents
        self.reasons.update(other.reasons)
        self.first = [*self.first, *other.first][:SHOWN]

    def check(self) -> None:
        """Raise TesseraError, with counts and the first ones, when there are more than may be."""
        if self.reasons.total() > (self.most if isinstance(self.most, int) else self.most * self.documents):
            raise TesseraError(
                f"{self.said()}: more than max_bad_documents allows ({self.most}); repair the files, or raise it"
            )

    def said(self) -> str:
        """The counts and the first ones in a line."""
        by_reason = ", ".join(f"{reason} {count}" for reason, count in sorted(self.reasons.items()))
        shown = f"; first: {'; '.join(self.first)}" if self.first else ""
        bad = self.reasons.total()
        share = f"{bad} of {counted(self.documents, 'document')} {verb(bad, 'are')} bad"
        return f"{share} ({by_reason or 'none'}){shown}"

    def attributes(self) -> dict[str, Any]:
        """What a result stores: `bad_documents`, and as JSON the counts by reason and the first ones."""
        return {
            "bad_documents": self.reasons.total(),
            "bad_documents_by_reason": json.dumps(dict(sorted(self.reasons.items()))),
            "bad_documents_first": json.dumps(self.first),
        }

    def dumped(self) -> bytes:
        """All of it but `most`, for `loaded`."""
        return json.dumps({"documents": self.documents, "reasons": self.reasons, "first": self.first}).encode()


def loaded(most: int | float, data: bytes) -> Skipped:
    """What `Skipped.dumped` gave."""
    found: Mapping[str, Any] = json.loads(data)
    return Skipped(most, found["documents"], Counter(found["reasons"]), found["first"])


def texts(items: Iterable[str | Bad], skipped: Skipped | None) -> Iterator[str]:
    """The documents; bad ones are counted in `skipped`. Without it the first one raises TesseraError."""
    if skipped is not None:
        yield from skipped.texts(items)
        return
    for item in items:
        if isinstance(item, Bad):
            raise TesseraError(f"{item}; repair it, or set on_bad_document: skip (a sweep: SET=on_bad_document=skip)")
        yield item


def skipping(on_bad_document: Literal["fail", "skip"], most: int | float) -> Skipped | None:
    """What counts bad documents, if they are to be skipped."""
    return Skipped(most) if on_bad_document == "skip" else None


def check_bound(most: int | float) -> None:
    """Raise ValueError unless `max_bad_documents` is a count, or a share below 1."""
    if not (most >= 0 if isinstance(most, int) else 0 <= most < 1):
        raise ValueError(f"max_bad_documents is {most}; it must be a count (100), or a share below 1 (0.001)")
