"""Artifacts: directories of results, and whether they are done.

An artifact is done if its DONE.json can be read, has the digest of the task, every file that it lists has the listed
size, and its inputs have not been made again with other bytes since. `verify` compares the checksums, too. Of an
artifact whose weights were dropped (lib/artifacts/weights.py) all other files are as before, but it is not done:
whoever reads weights must have it made again.

DONE.json: `files` (name -> size, sha256; of an HDF5 file also its rows, and, where it is read by ranges, its outline),
`inputs` (digest of an input -> what identifies the bytes that were read), `stands_for` (former contents whose weights
were dropped; what was made from those stays valid), `checksum` of all the rest. Older ones have no `inputs`.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.base import files, hdf5, places
from lib.base.config import DIGEST_LENGTH, science
from lib.base.config import digest as config_digest
from lib.base.errors import Damaged, TesseraError

NOT_THERE = "not there"
WEIGHTS_DROPPED = "its weights were dropped"
DAMAGED_MARKER = f"{places.DONE} is damaged"
DIFFERENT = "not what was written (checksum)"

Record = dict[str, Any]  # the content of DONE.json
Contents = Mapping[str, Collection[str]]  # digest of an artifact -> what its bytes may be identified by


class NotFinished(TesseraError):
    """An artifact that a task reads is not done, or not any more; the task can begin when it is."""


def find(path: Path, filename: str) -> Path:
    """The file of an input: `path` itself if it is a file, else `filename` in the directory `path`."""
    file = path if path.is_file() else path / filename
    if not file.is_file():
        raise TesseraError(f"{path}: there is no {filename}; give the file itself or a finished artifact directory")
    return file


def missing_reason(directory: Path, digest: str, contents: Contents | None = None) -> str:
    """Why the artifact is not done; empty if it is done. contents: of its inputs, as far as they are known."""
    record = look(directory)
    return record if isinstance(record, str) else reason(directory, record, digest, contents or {})


def look(directory: Path) -> Record | str:
    """DONE.json, or why it cannot be read."""
    try:
        return _read(directory)
    except (FileNotFoundError, NotADirectoryError):
        return NOT_THERE
    except ValueError:
        return DAMAGED_MARKER


def reason(directory: Path, record: Record, digest: str, contents: Contents) -> str:
    """Why the artifact with this DONE.json is not done; empty if it is done."""
    if record["digest"] != digest:
        return f"made by another task ({record['digest']})"
    there = present(directory, record)
    for name, entry in there.items():
        try:
            if os.stat(directory / name).st_size != entry["size"]:
                return f"{name} does not have the size that was written"
        except FileNotFoundError:
            return f"{Path(name).name} is gone"
    for given, content in record.get("inputs", {}).items():
        if content not in contents.get(given, (content,)):
            return f"made from other bytes of {given}, which has been made again"
    return WEIGHTS_DROPPED if len(there) < len(record["files"]) else ""


def _read(directory: Path) -> Record:
    """DONE.json. Raises FileNotFoundError, and ValueError if it is damaged."""
    record = json.loads((directory / places.DONE).read_bytes())
    files = record.get("files") if isinstance(record, dict) and "digest" in record else None
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise ValueError("it lacks `digest` or `files`")
    if "checksum" in record and record["checksum"] != _checksum(record):
        raise ValueError("its checksum is another")
    return record


def _checksum(record: Record) -> str:
    return config_digest({name: value for name, value in record.items() if name != "checksum"})


def contents(record: Record) -> list[str]:
    """What identifies the bytes of an artifact, and former ones that it stands for."""
    files = {name: entry["sha256"] for name, entry in record["files"].items()}
    return [config_digest(files), *record.get("stands_for", [])]


def contents_of(directory: Path) -> list[str] | None:
    """As `contents`; None where there is no DONE.json that can be read."""
    record = look(directory)
    return None if isinstance(record, str) else contents(record)


def finished_digest(directory: Path) -> str | None:
    """The digest in a DONE.json that can be read; None where there is none."""
    record = look(directory)
    return None if isinstance(record, str) else str(record["digest"])


def is_done(directory: Path, digest: str, contents: Contents | None = None) -> bool:
    """Whether `directory` holds the finished artifact of the task `digest`."""
    return not missing_reason(directory, digest, contents)


def is_dropped(directory: Path, digest: str, contents: Contents | None = None) -> bool:
    """Whether the artifact of the task `digest` was finished, and only its weights are gone, on purpose."""
    return missing_reason(directory, digest, contents) == WEIGHTS_DROPPED


def present(directory: Path, record: Record) -> dict[str, Any]:
    """The entries of DONE.json of the files that should be there: all but weights that were dropped."""
    entries = record["files"]
    weights = {name for name in entries if name.endswith(places.WEIGHTS)}
    if not weights or not (directory / places.DROPPED).exists():
        return entries
    return {name: entry for name, entry in entries.items() if name not in weights}


def verify(directory: Path) -> Record:
    """DONE.json of a finished artifact, after comparing every checksum. Raises Damaged naming a damaged file."""
    record = read_done(directory)
    for name, entry in present(directory, record).items():
        compare(directory / name, entry)
    return record


def read_verified(directory: Path, name: str) -> bytes:
    """The bytes of one file of a finished artifact, after comparing every checksum of the artifact.

    Raises Damaged naming a file that is missing or damaged.
    """
    entries = present(directory, read_done(directory))
    for other, entry in entries.items():
        if other != name:
            compare(directory / other, entry)
    file = directory / name
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != entries.get(name, {}).get("sha256"):
        raise Damaged(file, DIFFERENT)
    return data


def verify_file(file: Path) -> None:
    """Compare the checksum of one file at the top of an artifact. Raises Damaged naming it."""
    compare(file, read_done(file.parent)["files"].get(file.name, {}))


def compare(file: Path, entry: Mapping[str, Any]) -> None:
    """Raise Damaged unless the file has the SHA-256 of its entry in DONE.json."""
    if not file.is_file() or sha256(file) != entry.get("sha256"):
        raise Damaged(file, DIFFERENT)


def read_done(directory: Path) -> Record:
    """The content of DONE.json. Raises NotFinished if it is missing or damaged."""
    try:
        return _read(directory)
    except (FileNotFoundError, ValueError) as error:
        raise NotFinished(f"{directory}: not finished ({error}); run its task first") from error


def write_done(directory: Path, digest: str, stage: str, version: int, inputs: Mapping[str, str] | None = None) -> None:
    """Make every result durable, then write DONE.json, always the last file of an artifact.

    inputs: digest of an input -> what identifies the bytes that were read.
    """
    found = list(results(directory))
    for file in found:
        files.share(file, directory)  # safetensors writes files that nobody else may read
    entries = {str(file.relative_to(directory)): _entry(file) for file in found}
    if not entries:
        raise TesseraError(f"{directory}: the stage {stage} wrote nothing; it must write at least one file")
    record: Record = {"stage": stage, "version": version, "digest": digest, "files": entries}
    record["inputs"] = dict(inputs or {})
    if (directory / places.DROPPED).exists():
        record["stands_for"] = sorted(set(contents_of(directory) or ()) - {*contents(record)})
    write_json(directory / places.DONE, {**record, "checksum": _checksum(record)})


def remove_private(directory: Path) -> None:
    """Remove the half-written files of killed attempts, once the artifact is done."""
    for file in directory.glob(f"{places.PRIVATE}*"):
        if file.is_file():
            file.unlink(missing_ok=True)


def results(directory: Path) -> Iterator[Path]:
    """The result files of an artifact, sorted: all except records, private files and damaged ones."""
    for file in files.below(directory):
        top = file.relative_to(directory).parts[0]
        hidden = top.startswith(".") or file.name.startswith(places.DAMAGED)
        if top not in places.RECORDS and not hidden:
            yield file


def made_from(version: int, config: Any, inputs: Mapping[str, Path]) -> str:
    """A digest of version, configuration and inputs. Partial results of an attempt with the same one can be used."""
    given = {name: input_digest(path) for name, path in inputs.items()}
    return config_digest({"version": version, "config": science(config), "inputs": given})


def input_digest(path: Path) -> str:
    """What identifies an input: the digest of a finished artifact, else the SHA-256 of its bytes.

    Raises NotFinished if the artifact is incomplete.
    """
    if (path / places.DONE).is_file():
        record = read_done(path)
        if why := reason(path, record, record["digest"], {}):
            raise NotFinished(f"{path}: {why}; run its task again")
        return str(record["digest"])
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
        if outline := hdf5.outline(file):
            entry["outline"] = outline
    return entry
