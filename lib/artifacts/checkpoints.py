"""Checkpoints. One counts only if it is complete: a marker, written last, lists every file, its size and checksum.

<folder>/checkpoint-<step>/...            written by all ranks
<folder>/checkpoint-<step>/COMPLETE.json  written by one rank, when all are done
"""

import json
import shutil
from pathlib import Path

from lib.artifacts import store
from lib.base import files, seals

MARKER = "COMPLETE.json"
PREFIX = "checkpoint-"


def complete(checkpoint: Path, origin: dict) -> None:
    """Make a checkpoint durable and mark it as complete. `origin` says which training it belongs to."""
    listed = [file for file in sorted(checkpoint.rglob("*")) if file.is_file() and file.name != MARKER]
    for file in listed:
        files.sync(file)
    sizes = {str(file.relative_to(checkpoint)): file.stat().st_size for file in listed}
    checksums = {str(file.relative_to(checkpoint)): seals.checksum(file) for file in listed}
    store.write_json(checkpoint / MARKER, {"origin": origin, "files": sizes, "checksums": checksums})


def newest(folder: Path, origin: dict) -> Path | None:
    """The complete checkpoint of the highest step that belongs to `origin`. Prints which ones it skips, and why."""
    for checkpoint in reversed(_all(folder)):
        reason = _unfit(checkpoint, origin)
        if not reason:
            return checkpoint
        print(f"{checkpoint}: not resumed from: {reason}")
    return None


def last_step(folder: Path) -> int:
    """The highest step of any complete checkpoint, of whichever training; 0 if there is none."""
    return max((_step(path) for path in _all(folder) if (path / MARKER).is_file()), default=0)


def keep_only(folder: Path, kept: Path | None) -> None:
    """Remove every checkpoint except `kept` (all of them if it is None)."""
    for checkpoint in _all(folder):
        if checkpoint != kept:
            _remove(checkpoint)


def remove_all(folder: Path) -> None:
    """Remove the folder of checkpoints, the markers first: what is left of a half-removed folder does not count."""
    for checkpoint in _all(folder):
        (checkpoint / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _all(folder: Path) -> list[Path]:
    found = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit()]
    return sorted(found, key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(PREFIX))


def _unfit(checkpoint: Path, origin: dict) -> str:
    """Why training cannot resume from a checkpoint; empty if it can."""
    try:
        marker = json.loads((checkpoint / MARKER).read_bytes())
        sizes, checksums = dict(marker["files"]), dict(marker.get("checksums", {}))  # older ones have no checksums
        made_by = dict(marker["origin"])
    except FileNotFoundError:
        return "it is not complete"
    except (ValueError, KeyError, TypeError):
        return f"its {MARKER} is damaged"
    for name, size in sizes.items():
        if not _is_whole(checkpoint / name, size, checksums.get(name)):
            return f"{name} is not what was written"
    changed = [_changed(key, made_by.get(key), now) for key, now in origin.items() if made_by.get(key) != now]
    return f"made with another {', '.join(changed)}" if changed else ""


def _changed(name: str, before: object, now: object) -> str:
    """What is not as it was; of a number also the values."""
    return f"number of {name} ({before}, now {now})" if isinstance(now, int) else name


def _is_whole(file: Path, size: int, checksum: str | None) -> bool:
    same = file.is_file() and file.stat().st_size == size
    return same and checksum in (None, seals.checksum(file))


def _remove(checkpoint: Path) -> None:
    (checkpoint / MARKER).unlink(missing_ok=True)  # first, so that a half-removed checkpoint does not count
    shutil.rmtree(checkpoint)
