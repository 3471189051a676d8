"""Artifacts: directories of results, and whether they are done.

An artifact is done if its DONE.json can be read, has the digest of the task, and every file that it lists has the
listed size. `verify` compares the checksums, too. Of an artifact whose weights were dropped (lib/artifacts/weights.py)
all other files are as before, but it is not done: whoever reads weights must have it made again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.base import files, hdf5, places
from lib.base.config import DIGEST_LENGTH, digest, science
from lib.base.errors import TesseraError

WEIGHTS_DROPPED = "its weights were dropped"


def find(path: Path, filename: str) -> Path:
    """The file of an input: `path` itself if it is a file, else `filename` in the directory `path`."""
    file = path if path.is_file() else path / filename
    if not file.is_file():
        raise TesseraError(f"{path}: there is no {filename}; give the file itself or a finished artifact directory")
    return file


def missing_reason(directory: Path, digest: str) -> str:
    """Why the artifact is not done; empty if it is done."""
    try:
        record = json.loads((directory / places.DONE).read_bytes())
        if record["digest"] != digest:
            return f"made by another task ({record['digest']})"
        there = present(directory, record)
        for name, entry in there.items():
            if os.stat(directory / name).st_size != entry["size"]:
                return f"{name} does not have the size that was written"
        if len(there) < len(record["files"]):
            return WEIGHTS_DROPPED
    except FileNotFoundError as error:
        return "not there" if Path(error.filename).name == places.DONE else f"{Path(error.filename).name} is gone"
    except NotADirectoryError:
        return "not there"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{places.DONE} is damaged"
    return ""


def finished_digest(directory: Path) -> str | None:
    """The digest in a DONE.json that can be read; None where there is none."""
    try:
        return str(read_done(directory)["digest"])
    except (TesseraError, OSError, KeyError, TypeError):
        return None


def is_done(directory: Path, digest: str) -> bool:
    """Whether `directory` holds the finished artifact of the task `digest`."""
    return not missing_reason(directory, digest)


def is_dropped(directory: Path, digest: str) -> bool:
    """Whether the artifact of the task `digest` was finished, and only its weights are gone, on purpose."""
    return missing_reason(directory, digest) == WEIGHTS_DROPPED


def present(directory: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The entries of DONE.json of the files that should be there: all but weights that were dropped."""
    entries = record["files"]
    weights = {name for name in entries if name.endswith(places.WEIGHTS)}
    if not weights or not (directory / places.DROPPED).exists():
        return entries
    return {name: entry for name, entry in entries.items() if name not in weights}


def verify(directory: Path) -> dict[str, Any]:
    """DONE.json of a finished artifact, after comparing every checksum. Raises TesseraError naming a damaged file."""
    record = read_done(directory)
    for name, entry in present(directory, record).items():
        _compare(directory / name, entry, directory)
    return record


def read_verified(directory: Path, name: str) -> bytes:
    """The bytes of one file of a finished artifact, after comparing every checksum of the artifact.

    Raises TesseraError naming a file that is missing or damaged.
    """
    entries = present(directory, read_done(directory))
    for other, entry in entries.items():
        if other != name:
            _compare(directory / other, entry, directory)
    file = directory / name
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != entries.get(name, {}).get("sha256"):
        raise _damaged(file, directory)
    return data


def verify_file(file: Path) -> None:
    """Compare the checksum of one file at the top of an artifact. Raises TesseraError naming it."""
    _compare(file, read_done(file.parent)["files"].get(file.name, {}), file.parent)


def _compare(file: Path, entry: dict[str, Any], directory: Path) -> None:
    if not file.is_file() or sha256(file) != entry.get("sha256"):
        raise _damaged(file, directory)


def _damaged(file: Path, directory: Path) -> TesseraError:
    return TesseraError(f"{file}: not what was written (checksum); delete {directory} and run the sweep again")


def read_done(directory: Path) -> dict[str, Any]:
    """The content of DONE.json. Raises TesseraError if it is missing or damaged."""
    try:
        return json.loads((directory / places.DONE).read_bytes())
    except (FileNotFoundError, ValueError) as error:
        raise TesseraError(f"{directory}: not finished ({error}); run its task first") from error


def write_done(directory: Path, digest: str, stage: str, version: int) -> None:
    """Make every result durable, then write DONE.json, always the last file of an artifact."""
    entries = {str(file.relative_to(directory)): _entry(file) for file in results(directory)}
    if not entries:
        raise TesseraError(f"{directory}: the stage {stage} wrote nothing; it must write at least one file")
    write_json(directory / places.DONE, {"stage": stage, "version": version, "digest": digest, "files": entries})


def remove_private(directory: Path) -> None:
    """Remove the half-written files of killed attempts, once the artifact is done."""
    for file in directory.glob(f"{places.PRIVATE}*"):
        if file.is_file():
            file.unlink(missing_ok=True)


def results(directory: Path) -> Iterator[Path]:
    """The result files of an artifact, sorted: all except records and private files."""
    for file in sorted(directory.rglob("*")):
        top = file.relative_to(directory).parts[0]
        if file.is_file() and top not in places.RECORDS and not top.startswith("."):
            yield file


def made_from(version: int, config: Any, inputs: Mapping[str, Path]) -> str:
    """A digest of version, configuration and inputs. Partial results of an attempt with the same one can be used."""
    given = {name: input_digest(path) for name, path in inputs.items()}
    return digest({"version": version, "config": science(config), "inputs": given})


def input_digest(path: Path) -> str:
    """What identifies an input: the digest of a finished artifact, else the SHA-256 of its bytes.

    Raises TesseraError if the artifact is incomplete.
    """
    if (path / places.DONE).is_file():
        digest = str(read_done(path)["digest"])
        if reason := missing_reason(path, digest):
            raise TesseraError(f"{path}: {reason}; run its task again")
        return digest
    if path.is_file():
        return sha256(path)[:DIGEST_LENGTH]
    if not path.is_dir():
        raise TesseraError(f"{path}: does not exist; give a file or a finished artifact directory")
    lines = [f"{file.relative_to(path)} {sha256(file)}" for file in results(path)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_LENGTH]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        if hasattr(hashlib, "file_digest"):  # Python 3.11
            return hashlib.file_digest(file, "sha256").hexdigest()
        hasher = hashlib.sha256()
        while block := file.read(1 << 20):
            hasher.update(block)
        return hasher.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON durably, whole or not at all."""
    files.write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def _entry(file: Path) -> dict[str, Any]:
    files.sync(file)
    entry: dict[str, Any] = {"size": file.stat().st_size, "sha256": sha256(file)}
    if file.suffix == ".h5":
        entry["rows"] = hdf5.rows(file)
    return entry
