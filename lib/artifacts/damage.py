"""What is damaged is moved aside, so that it counts as missing and the same command makes it again.

It stays beside where it was, as `.damaged-<UTC>-<name>`, and may be deleted.
"""

from pathlib import Path

from lib.artifacts import store
from lib.base import files, places
from lib.base.errors import Damaged, TesseraError

MOST = 3  # damaged files of one artifact: more are no accident


def mend(damaged: Damaged, out: Path | None = None) -> bool:
    """Move a damaged file of an artifact, or of the unfinished work in `out`, aside. Returns whether it is made again.

    False: it is a file of the user's, or it is what its stage wrote. Raises TesseraError naming the disk when too many
    files of an artifact were damaged.
    """
    file = damaged.file
    if out and file.is_relative_to(out) and file.relative_to(out).parts[0] in (places.BLOCKS, places.CHECKPOINTS):
        _move(file)
        return True
    artifact = next((folder for folder in file.parents if (folder / places.DONE).is_file()), None)
    if artifact is None:
        return False
    entry = _entry(artifact, str(file.relative_to(artifact)))
    if entry is None or (file.is_file() and store.sha256(file) == entry["sha256"]):
        return False
    _move(file)
    _stop_if_too_many(artifact)
    return True


def clear(artifact: Path) -> None:
    """Before an artifact is made again: move a damaged DONE.json and files that were cut off aside."""
    if store.missing_reason(artifact, "") == store.DAMAGED_MARKER:
        _move(artifact / places.DONE)
        return
    record = store.read_done(artifact) if (artifact / places.DONE).is_file() else {"files": {}}
    for name, entry in record["files"].items():
        if (artifact / name).is_file() and (artifact / name).stat().st_size != entry["size"]:
            _move(artifact / name)
    _stop_if_too_many(artifact)


def _entry(artifact: Path, name: str) -> dict | None:
    try:
        return store.read_done(artifact)["files"].get(name)
    except store.NotFinished:  # DONE.json is damaged itself: all of it is made again
        return {"sha256": ""}


def _move(file: Path) -> None:
    if file.is_file():
        kept = files.set_aside(file)
        print(f"{file}: damaged; moved aside as {kept.name}", flush=True)


def _stop_if_too_many(artifact: Path) -> None:
    found = [file for file in artifact.rglob(f"{places.DAMAGED}*") if file.parent.name != places.ATTEMPTS]
    if len(found) >= MOST:
        raise TesseraError(
            f"{artifact}: {len(found)} files were damaged one after another; look at the disk (its log, its quota); "
            f"delete the files {places.DAMAGED}* there to try again"
        )
