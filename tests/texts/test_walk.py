"""The walk of a folder: everything is taken, refused by name, or counted."""

import glob
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.texts import listing, walk


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def below(root: Path, *globs: str) -> tuple[list[str], dict[str, int]]:
    found = walk.below(root, walk.patterns(globs))
    return sorted(str(file.relative_to(root)) for file in found.files), dict(found.left_out)


def test_what_is_left_out_is_counted_by_ending(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", "b.NDJSON", "x/c.txt.gz", "README.md", "x/B.MD", "LICENSE", "x/meta.json", ".cache/d.txt")
    put(tmp_path, "x/.e.txt", "DONE.json", "attempts/1.txt", "x/attempts/f.txt", "g.csv")
    taken = ["a.jsonl", "b.NDJSON", "x/attempts/f.txt", "x/c.txt.gz"]
    left_out = {".md": 2, "no ending": 1, ".json": 1, "hidden": 2, "records of a run": 2, ".csv": 1}
    assert below(tmp_path) == (taken, left_out)


def test_patterns_choose_and_the_rest_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "train/a.jsonl", "train/x/y/b.jsonl", "train/x/.c.jsonl", "train/d.md", "test/e.jsonl", "f.jsonl")
    expected = ["train/a.jsonl", "train/x/y/b.jsonl"]
    assert below(tmp_path, "train/**/*.jsonl") == (expected, {"hidden": 1, ".md": 1, "folders": 1, ".jsonl": 1})
    assert below(tmp_path, "./train/**/.*.jsonl")[0] == ["train/x/.c.jsonl"]
    assert below(tmp_path, "train/**")[0] == [*expected[:1], "train/d.md", *expected[1:]]
    assert below(tmp_path, "t*/[a-e].jsonl", "*.jsonl")[0] == ["f.jsonl", "test/e.jsonl", "train/a.jsonl"]


parts = st.sampled_from(["a", "b", ".h"])
files = st.lists(parts, min_size=1, max_size=4).map(lambda folders: "/".join(folders) + ".txt")
patterns = st.lists(st.sampled_from(["a", "*", "**", "?", "[ab]"]), max_size=3).map(
    lambda folders: "/".join([*folders, "*.txt"])
)


@settings(deadline=None, max_examples=60)
@given(st.lists(files, max_size=8), patterns)
def test_patterns_mean_what_they_mean_to_glob(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], pattern: str
) -> None:
    """The shell's rule (Python's glob has it): a star stands for no hidden name. Whatever is not taken is counted."""
    root = tmp_path_factory.mktemp("tree")
    put(root, *names)
    taken, left_out = below(root, pattern)
    assert taken == sorted(set(glob.glob(pattern, root_dir=root, recursive=True)))
    assert taken or left_out or not names


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "more/b.jsonl")
    put(tmp_path / "corpus", "a.jsonl")
    (tmp_path / "corpus/linked").symlink_to(tmp_path / "elsewhere")
    assert below(tmp_path / "corpus") == (["a.jsonl", "linked/more/b.jsonl"], {})
    assert below(tmp_path / "corpus", "linked/**/*.jsonl")[0] == ["linked/more/b.jsonl"]


@pytest.mark.parametrize("globs", [(), ("**/*.jsonl",)])
def test_a_circle_of_links_is_refused_by_name(tmp_path: Path, globs: tuple[str, ...]) -> None:
    put(tmp_path, "x/y/a.jsonl")
    (tmp_path / "x/y/up").symlink_to(tmp_path / "x")
    with pytest.raises(TesseraError, match="x/y/up: a link back to a folder above it; remove it"):
        below(tmp_path, *globs)
    assert below(tmp_path, "x/y/*.jsonl")[0] == ["x/y/a.jsonl"]  # a pattern that does not pass it
    (tmp_path / "x/y/up").unlink()
    (tmp_path / "x/y/up").symlink_to("/")  # a folder above the whole corpus
    with pytest.raises(TesseraError, match="x/y/up: a link back"):
        below(tmp_path, *globs)
    (tmp_path / "x/y/up").unlink()
    put(tmp_path / "elsewhere", "b.jsonl")
    (tmp_path / "x/y/up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "x")  # a circle of two links
    with pytest.raises(TesseraError, match="x/y/up/back: a link back"):
        below(tmp_path / "x", *globs)


def test_two_ways_to_one_folder_are_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, "v2/a.jsonl", "v2/README.md")
    (tmp_path / "latest").symlink_to(tmp_path / "v2")
    with pytest.raises(TesseraError, match=r"(latest|v2): the same folder as .*, so its files would count twice"):
        below(tmp_path)
    assert below(tmp_path, "latest/*.jsonl")[0] == ["latest/a.jsonl"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jsonl", "a.jsonl: a link to .*gone, which is not there"),
        ("folder", "folder: a link to .*gone, which is not there"),
        ("part-3.jsonl.lz4", r"part-3.jsonl.lz4: texts in a form that is not read \(.lz4\); unpack or convert it"),
        ("part-3.TXT.BR", r"part-3.TXT.BR: texts in a form"),
    ],
)
def test_what_nobody_means_to_leave_out_is_refused_by_name(tmp_path: Path, name: str, message: str) -> None:
    put(tmp_path, "b.jsonl")
    if "link" in message:
        (tmp_path / name).symlink_to(tmp_path / "gone")
    else:
        put(tmp_path, name)
    with pytest.raises(TesseraError, match=message):
        below(tmp_path)
    assert below(tmp_path, "b.*")[0] == ["b.jsonl"]


def test_what_is_no_regular_file_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(TesseraError, match=r"a\.jsonl: no regular file"):
        below(tmp_path)
    (tmp_path / "a.jsonl").rename(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    assert below(tmp_path) == ([], {"no ending": 2})


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("a.jsonl")
    with pytest.raises(TesseraError, match=r"a\.jsonl: cannot be read: Too many levels"):
        below(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jsonl")).write_bytes(b"")
    with pytest.raises(TesseraError, match=r"the name is not UTF-8; rename it"):
        below(tmp_path)
    (tmp_path / os.fsdecode(b"\xff.jsonl")).rename(tmp_path / os.fsdecode(b"a.\xff"))
    assert below(tmp_path) == ([], {".?": 1})


@pytest.mark.parametrize("target", ["folder", "folder/a.jsonl"])
def test_what_may_not_be_read_is_named_with_that_word(tmp_path: Path, monkeypatch, target: str) -> None:
    """As root reads everything, the refusal is the system call's: of the folder's list, of the file's access."""
    put(tmp_path, "folder/a.jsonl")
    scandir, access = os.scandir, os.access
    refused = str(tmp_path / target)

    def no_list(place: str):
        if str(place) == refused:
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr(os, "scandir", no_list)
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) != refused and access(place, mode))
    with pytest.raises(TesseraError, match=rf"{target}: may not be read \(permission denied\)"):
        below(tmp_path)


def test_the_kinds_that_are_counted_are_few(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", *(f"b.{number:05d}" for number in range(60)), "c.00001")
    found = listing.list_files(tmp_path).left_out
    assert found[0] == (".00001", 2)
    assert len(found) == listing.MOST_KINDS + 1
    assert Counter(dict(found)).total() == 61
