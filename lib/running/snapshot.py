"""Snapshots: copies of the code, made at submission, which queued tasks run."""

import hashlib
import os
import shutil
from pathlib import Path

from lib.base import places

ROOT = places.ROOT
PARTS = ("jobs", "lib", "sweeps", "env", "launch.py")


def take(root: Path) -> Path:
    """Copy the code to `root/snapshots/<hash of its bytes>`. The same code is copied only once."""
    if ROOT.parent.name == "snapshots":
        return ROOT  # a controller already runs from a snapshot
    files = _code()
    place = places.snapshot(root, code_hash(files))
    if not place.exists():
        _copy(files, place)
    return place


def target(root: Path) -> Path:
    """Where `take` copies the code to."""
    return places.snapshot(root, code_hash(_code()))


def code_hash(files: list[Path]) -> str:
    """The first 12 hex digits of the SHA-256 over names and bytes of the files."""
    hasher = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        hasher.update(f"{file.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return hasher.hexdigest()[:12]


def _copy(files: list[Path], target: Path) -> None:
    temporary = places.private(target, str(os.getpid()))
    for file in files:
        place = temporary / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
    try:
        temporary.rename(target)
    except OSError:  # another process has just made the same snapshot
        if not target.exists():
            raise
        shutil.rmtree(temporary)


def _code() -> list[Path]:
    return sorted(file for part in PARTS for file in _files(ROOT / part))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
