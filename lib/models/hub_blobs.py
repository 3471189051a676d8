"""Whether files of the hub cache have the bytes that the hub has. Its names for them are checksums.

A file in large-file storage is named by its SHA-256, any other by git's SHA-1 of `blob <size>`, a zero byte and the
content. The cache keeps a file under that name and links to it. Where it holds copies instead, the list of files that
came with them has git's name: of a large file that of its pointer, three lines that say its SHA-256 and size.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lib.base import files
from lib.base.errors import Damaged

PIECE = 1 << 20


def check(folder: Path, names: Iterable[str], git_names: Mapping[str, str]) -> None:
    """Compare files of a snapshot in the cache. git_names: of each file, as the hub listed them.

    Each is read once in a process, as long as it does not change. Raises Damaged naming a file, which is set aside, so
    that the next fetch brings it again.
    """
    for name in names:
        check_file(folder / name, git_names.get(name))


def check_file(file: Path, git_name: str | None = None) -> bool:
    """As `check`, for one file. Returns whether it has a name to compare: one outside the cache has none."""
    blob = file.resolve()
    named = blob.name if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name) else None
    expected = named or git_name
    if expected is None or not blob.is_file():
        return False
    status = blob.stat()
    if expected not in _names(blob, (status.st_ino, status.st_size, status.st_mtime_ns)):
        kept = files.set_aside(blob)
        remedy = "fetch it again: make fetch-<sweep>, or the sweep's own command, where the hub can be reached"
        raise Damaged(file, f"not what the hub has (checksum); the damaged one is now {kept}; {remedy}")
    return True


@functools.cache
def _names(blob: Path, state: tuple[int, int, int]) -> tuple[str, str, str]:
    """What the hub may call these bytes: SHA-256, git's name of them, git's name of their pointer."""
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % state[1], usedforsecurity=False)
    with open(blob, "rb") as file:
        while piece := file.read(PIECE):
            sha256.update(piece)
            git.update(piece)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256.hexdigest()}\nsize {state[1]}\n"
    return sha256.hexdigest(), git.hexdigest(), git_name(pointer.encode())


def git_name(content: bytes) -> str:
    """git's name of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
