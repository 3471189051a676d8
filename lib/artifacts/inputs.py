"""The inputs of a task: compared with what was written before a stage reads them, and looked at again at its end.

Every file of an artifact has its SHA-256 in DONE.json. One that is read by ranges (chunks of a corpus, suffix arrays)
may be larger than what a task can read at the start: of it the outline is compared, which covers the checksums of its
ranges; whoever reads a range compares that (lib/corpus). A file or folder that was given by hand is identified by its
bytes, so there is nothing to compare it with; but it must not change meanwhile either.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import Damaged, TesseraError

THREADS = 8  # that compute checksums; each takes a core for 1.8 GB/s

State = tuple[int, int, int, int]


@dataclass(frozen=True)
class Inputs:
    """What a task reads.

    digests: of every input, or of each of a list. contents: digest of an artifact -> what identifies its bytes, as in
    `store.contents`. files: with their entries in DONE.json; {} for one that was given by hand. states: file -> inode,
    size, times of change; None if it is gone.
    """

    given: Mapping[str, Any]
    digests: dict[str, str | list[str]]
    contents: dict[str, list[str]]
    files: dict[Path, dict[str, Any]]
    states: dict[Path, State | None]


def identify(given: Mapping[str, Any]) -> Inputs:
    """The inputs as they are now. given: name -> path, or list of paths.

    Raises NotFinished for an artifact that is not whole.
    """
    paths = list(dict.fromkeys(_flat(given)))
    files = {file: entry for path in paths for file, entry in _entries(path)}
    states = {file: _state(file) for file in files}  # first: what changes from here on is noticed at the end
    digests = {path: store.input_digest(path) for path in paths}
    contents = {digests[path]: found for path in paths if (found := store.contents_of(path))}
    named = {
        name: [digests[one] for one in path] if isinstance(path, list) else digests[path]
        for name, path in given.items()
    }
    return Inputs(given, named, contents, files, states)


def compare(inputs: Inputs) -> None:
    """Compare every file with what was written. Raises Damaged naming one that differs."""
    with ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0)))) as threads:
        for _ in threads.map(_compare, inputs.files, inputs.files.values()):
            pass


def check_unchanged(before: Inputs) -> None:
    """Raise TesseraError naming an input that is not what it was when it was identified."""
    changed = [file for file, state in before.states.items() if _state(file) != state]
    if not changed:
        return
    problem = f"{changed[0]}: changed while it was read; leave it alone and run again"
    try:  # it may have been touched, or made again with the same bytes
        now = identify(before.given)
        compare(now)
    except (TesseraError, OSError) as error:
        raise TesseraError(f"{problem} ({error})") from error
    if (now.digests, now.contents, list(now.files)) != (before.digests, before.contents, list(before.files)):
        raise TesseraError(problem)


def _flat(given: Mapping[str, Any]) -> Iterator[Path]:
    for paths in given.values():
        yield from paths if isinstance(paths, list) else [paths]


def _entries(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of an input, with their entries in DONE.json; {} for one that has none."""
    if (path / places.DONE).is_file():
        for name, entry in store.present(path, store.read_done(path)).items():
            yield path / name, entry
    elif path.is_file():
        yield path, _entry_beside(path)
    else:
        yield from ((file, {}) for file in store.results(path))


def _entry_beside(file: Path) -> dict[str, Any]:
    """What DONE.json says of a file in an artifact that was itself given as an input."""
    if not (file.parent / places.DONE).is_file():
        return {}
    return store.read_done(file.parent)["files"].get(file.name, {})


def _compare(file: Path, entry: Mapping[str, Any]) -> None:
    if "outline" in entry:
        if file.stat().st_size != entry["size"] or hdf5.outline(file) != entry["outline"]:
            raise Damaged(file, store.DIFFERENT)
    elif entry:
        store.compare(file, entry)


def _state(file: Path) -> State | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
