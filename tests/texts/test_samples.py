"""The beginnings of a few files: of every kind, bounded, and whatever is damaged."""

import gzip
import json
from pathlib import Path

import pytest

from lib.texts import listing, samples


def lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def test_the_beginnings_of_files_spread_over_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CHARACTERS", 10)
    for number in range(20):
        (tmp_path / f"{number:02d}.jsonl").write_bytes(lines([f"{number:02d}", "abcdef", "ghijkl", "mno"]))
    assert samples.drawn(listing.list_files(tmp_path)) == [f"{number:02d}abcdefgh" for number in range(0, 16, 2)]


def test_what_cannot_be_read_gives_what_stands_before(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(["whole"]) + b"{not json\n" + lines(["behind"]))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(["packed"]))[:-9])
    (tmp_path / "c.txt").write_text("a text")
    (tmp_path / "d.jsonl").write_bytes(b"")
    first, _, *rest = samples.drawn(listing.list_files(tmp_path))
    assert (first, rest) == ("whole", ["a text", ""])


def test_a_large_document_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "LARGEST", 5)
    (tmp_path / "a.txt").write_text("123456")
    (tmp_path / "b.jsonl").write_bytes(lines(["123456"]))
    assert samples.drawn(listing.list_files(tmp_path)) == ["123456"]
