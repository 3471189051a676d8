"""Snapshots: copies of the code, made at submission, which queued tasks run."""

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

from lib.base import files as whole
from lib.base import places
from lib.base.errors import TesseraError

ROOT = places.ROOT
PARTS = ("jobs", "lib", "sweeps", "env", "launch.py")


def take(root: Path) -> Path:
    """Copy the code to `root/snapshots/<hash of its bytes>`. The same code is copied only once.

    Files of a copy that are not what was copied are restored. Raises TesseraError in a controller that cannot do so.
    """
    if ROOT.parent.name == "snapshots":  # a controller already runs from a snapshot
        if problem := difference(ROOT):
            raise TesseraError(problem)
        return ROOT
    files = _code(ROOT)
    place = places.snapshot(root, code_hash(files, ROOT))
    if not place.exists():
        _copy(files, place)
    elif difference(place):
        _restore(files, place)
    return place


def difference(place: Path) -> str:
    """What is wrong with a snapshot, which is named by its content; empty if nothing is."""
    if place.parent.name != "snapshots" or code_hash(_code(place), place) == place.name:
        return ""
    return (
        f"{place}: a file of this copy of the code was lost or changed; type the sweep's command again: it restores it"
    )


def target(root: Path) -> Path:
    """Where `take` copies the code to."""
    return places.snapshot(root, code_hash(_code(ROOT), ROOT))


def code_hash(files: list[Path], root: Path) -> str:
    """The first 12 hex digits of the SHA-256 over names (from `root` on) and bytes of the files."""
    hasher = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        hasher.update(f"{file.relative_to(root)} {len(content)}\n".encode() + content)
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


def _restore(files: list[Path], place: Path) -> None:
    """Make the files of a snapshot again that are not those of the checkout, one by one: tasks may be running there."""
    wanted = {place / file.relative_to(ROOT): file for file in files}
    for target in sorted({*wanted, *_code(place)}):
        source = wanted.get(target)
        if source and target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        if target.is_file():
            whole.set_aside(target)
        if source:
            whole.write_bytes(target, source.read_bytes())
            shutil.copymode(source, target)  # not its time: what Python compiles now of the damaged file has that
        Path(importlib.util.cache_from_source(target)).unlink(missing_ok=True)
        print(f"{target}: lost or changed in this copy of the code; restored")


def _code(root: Path) -> list[Path]:
    return sorted(file for part in PARTS for file in _files(root / part))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and _is_code(file)]


def _is_code(file: Path) -> bool:
    return "__pycache__" not in file.parts and not file.name.startswith((places.DAMAGED, places.PRIVATE))
