"""Weights that nobody needs any more are dropped: the scores made with them stay valid, and the disk is free again.

DROPPED.json stands beside DONE.json and says which files were removed, of how many bytes, when and for whom. It is
written before the first file is removed, so that a drop that is killed is found and ended. A file with another time of
change than it names belongs to a task that makes the weights again, and is left alone.
"""

import json
import time
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import places


def drop(directory: Path, digest: str, by: str) -> int:
    """Remove the weights of the finished artifact of the task `digest`. Returns the bytes that were freed now.

    by: what removes them, for the record. Safe to repeat, and at the same time; 0 where there is nothing to remove.
    """
    if store.is_done(directory, digest):
        _mark(directory, by)
    if not store.is_dropped(directory, digest):
        return 0
    files = read(directory).get("files", {})
    return sum(_remove(directory / name, entry) for name, entry in files.items())


def read(directory: Path) -> dict[str, Any]:
    """DROPPED.json: `files` (size and time of change of each), `bytes`, `time`, `by`; empty if nothing was dropped."""
    try:
        return json.loads((directory / places.DROPPED).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}


def _mark(directory: Path, by: str) -> None:
    """Write DROPPED.json, unless there are no weights, or another process has just removed them."""
    names = [name for name in store.read_done(directory)["files"] if name.endswith(places.WEIGHTS)]
    try:
        states = {name: (directory / name).stat() for name in names}
    except FileNotFoundError:
        return
    files = {name: {"size": state.st_size, "changed_ns": state.st_mtime_ns} for name, state in states.items()}
    total = sum(entry["size"] for entry in files.values())
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if files:
        store.write_json(directory / places.DROPPED, {"files": files, "bytes": total, "time": moment, "by": by})


def _remove(file: Path, entry: dict[str, Any]) -> int:
    """Remove a file if it is still the one that was meant. Returns its bytes."""
    try:
        if file.stat().st_mtime_ns != entry["changed_ns"]:
            return 0
        file.unlink()
    except FileNotFoundError:
        return 0
    return entry["size"]
