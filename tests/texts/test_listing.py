import os
from pathlib import Path

import pytest

from lib.base.errors import TesseraError
from lib.texts import listing


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text('{"text": "a"}')


def names(found: listing.Listing, root: Path) -> list[str]:
    return [str(file.relative_to(root)) for file in found.files]


def test_a_folder_stands_for_what_can_be_read_in_it(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/10.jsonl",
        "b/9.jsonl",
        "a.txt",
        "README.md",
        "info.json",
        "DONE.json",
        "attempts/1.txt",
        ".x/a.txt",
    )
    assert names(listing.list_files(tmp_path), tmp_path) == ["a.txt", "b/9.jsonl", "b/10.jsonl"]


def test_patterns_files_and_globs(tmp_path: Path) -> None:
    touch(tmp_path, "train/chunk2/a.jsonl", "train/chunk10/a.jsonl", "test/a.jsonl", "rows.json")
    assert names(listing.list_files(tmp_path, ("train/**/*.jsonl", "train/chunk2/*")), tmp_path) == [
        "train/chunk2/a.jsonl",
        "train/chunk10/a.jsonl",
    ]
    assert names(listing.list_files(tmp_path, ("*.json",)), tmp_path) == ["rows.json"]
    assert names(listing.list_files(tmp_path / "rows.json"), tmp_path) == ["rows.json"]
    assert names(listing.list_files(tmp_path / "t*" / "a.jsonl"), tmp_path) == ["test/a.jsonl"]


def test_nothing_there_and_unknown_kinds(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv")
    with pytest.raises(
        TesseraError,
        match=r"\.csv are read where a pattern names them, but left out: 1 \.csv\)",
    ):
        listing.list_files(tmp_path)
    with pytest.raises(TesseraError, match=r"nothing matches x/\*\.jsonl"):
        listing.list_files(tmp_path, ("x/*.jsonl",))
    touch(tmp_path, "a.tsv")
    with pytest.raises(TesseraError, match=r"a\.tsv: unknown kind of file"):
        listing.list_files(tmp_path, ("*",))
    with pytest.raises(TesseraError, match="gone: no such file or folder"):
        listing.list_files(tmp_path / "gone")
    with pytest.raises(TesseraError, match="no corpus files found"):
        listing.list_files(tmp_path / "*.jsonl")


def test_of_a_corpus_whose_bytes_are_summed_up_new_times_are_no_change(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "b.txt")
    plain = listing.list_files(tmp_path)
    before = listing.summed(plain)
    os.utime(tmp_path / "a.txt", ns=(0, 1))
    listing.check_unchanged(before, 0)
    touched = listing.list_files(tmp_path)
    assert listing.same_bytes(before, touched)
    assert not listing.same_bytes(plain, touched)  # nothing says what the bytes were
    (tmp_path / "b.txt").write_text('{"text": "b"}')  # as long as it was
    os.utime(tmp_path / "b.txt", ns=(0, 1))
    assert not listing.same_bytes(before, listing.list_files(tmp_path))
    with pytest.raises(TesseraError, match=r"b\.txt: changed since the corpus was listed"):
        listing.check_unchanged(before, 1)


def test_a_large_corpus_is_not_read_to_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.txt")
    monkeypatch.setattr(listing, "CHECKED_BYTES", 12)
    assert listing.summed(listing.list_files(tmp_path)).checksums == ()


def test_fingerprint_and_check_see_every_change(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "b.txt")
    before = listing.list_files(tmp_path)
    listing.check_unchanged(before, 0)
    os.utime(tmp_path / "a.txt", ns=(0, 1))
    moved = listing.list_files(tmp_path)
    with pytest.raises(TesseraError, match=r"a\.txt: changed since the corpus was listed"):
        listing.check_unchanged(before, 0)
    (tmp_path / "b.txt").write_text("longer than it was")
    longer = listing.list_files(tmp_path)
    touch(tmp_path, "c.txt")
    more = listing.list_files(tmp_path)
    assert len({listing.fingerprint(one) for one in (before, moved, longer, more)}) == 4
    (tmp_path / "a.txt").unlink()
    with pytest.raises(TesseraError, match=r"a\.txt: deleted since"):
        listing.check_unchanged(before, 0)


def test_what_is_written_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(tmp_path, "a.txt", "é.txt")
    (tmp_path / "README.md").write_text("no text of the corpus")
    found = listing.list_files(tmp_path, text_key="body")
    assert found.left_out == ((".md", 1),)
    for one in (found, listing.summed(found)):
        listing.write(tmp_path / "corpus.h5", one)
        assert listing.read(tmp_path / "corpus.h5") == one
    listing.write(tmp_path / "corpus.h5", found)
    assert listing.open_input(tmp_path) == listing.open_input(tmp_path / "corpus.h5") == found
    assert names(listing.open_input(tmp_path / "a.txt"), tmp_path) == ["a.txt"]
    (tmp_path / "corpus.h5").unlink()
    capsys.readouterr()
    assert listing.open_input(tmp_path).files == listing.list_files(tmp_path).files
    assert "2 files; left out: 1 .md" in capsys.readouterr().out
