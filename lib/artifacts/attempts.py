"""Attempts: the record and the log of every time a task was started, with its provenance."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lib.artifacts import checkpoints, store
from lib.base import places

PACKAGES = ("numpy", "h5py", "torch", "transformers", "deepspeed", "tokenizers", "submitit")
ROOT = places.ROOT


def reserve(directory: Path) -> tuple[int, Path]:
    """The next attempt's number and its log file, created so that no other attempt can take it."""
    (directory / places.ATTEMPTS).mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        log = places.attempt(directory, number, "log")
        try:
            log.touch(exist_ok=False)
            return number, log
        except FileExistsError:
            number += 1


def begin(directory: Path, number: int | None, campaign: str | None = None) -> dict[str, Any]:
    """Write the record of an attempt that begins now; without a `number` the next free one is taken."""
    number = number or reserve(directory)[0]
    record = {"number": number, "outcome": "running", "started": time.time(), "progress": progress(directory)}
    record |= provenance()
    record["campaign"] = campaign or record["campaign"]
    store.write_json(places.attempt(directory, number, "json"), record)
    return record


def end(directory: Path, record: dict[str, Any], seconds: float, error: BaseException | None) -> None:
    """Complete the record of an attempt."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    failed = {"outcome": "failed", "error": redact(describe(error)), "told": True} if error else None
    outcome = failed or {"outcome": "done"}
    record = {**record, **outcome, "seconds": round(seconds, 3), "peak_memory_mb": round(peak), **_device()}
    store.write_json(places.attempt(directory, record["number"], "json"), record)


def close(directory: Path, number: int, error: str, told: bool = False) -> None:
    """Complete the record of an attempt whose stage ended without a word of its own (`told`: with one)."""
    file = places.attempt(directory, number, "json")
    record = json.loads(file.read_bytes())
    if record["outcome"] == "running":
        store.write_json(file, {**record, "outcome": "failed", "error": error, "told": told})


def close_last(directory: Path, error: str) -> None:
    """Complete the record of the attempt that runs now, for a rank that does not keep it."""
    running = [record for record in read(directory) if record["outcome"] == "running"]
    if running:
        close(directory, running[-1]["number"], redact(error), told=True)


def close_killed(directory: Path) -> None:
    """Complete the records of earlier attempts that could not: of a killed rank's world, say."""
    for record in read(directory):
        if record["outcome"] == "running":
            file = places.attempt(directory, record["number"], "json")
            store.write_json(file, {**record, "outcome": "failed", "error": "killed: it ended without a word"})


def read(directory: Path) -> list[dict[str, Any]]:
    """All attempts, oldest first; one killed before its record was whole counts as running."""
    records = []
    for log in sorted((directory / places.ATTEMPTS).glob("*.log")):
        try:
            records.append(json.loads(log.with_suffix(".json").read_bytes()))
        except (FileNotFoundError, ValueError):
            records.append({"number": int(log.stem), "outcome": "running"})
    return records


def progress(directory: Path) -> int:
    """How far an unfinished artifact has got: the step of its last whole checkpoint, or the number of its blocks."""
    blocks = (directory / places.BLOCKS).glob("*.h5")
    count = sum(not block.name.startswith(places.PRIVATE) for block in blocks)
    return count + checkpoints.last_step(directory / places.CHECKPOINTS)


def describe(error: BaseException) -> str:
    """`ValueError: message`, one line."""
    return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}").strip()


def redact(text: str) -> str:
    """`text` without the value of any environment variable that holds a secret."""
    for key, value in os.environ.items():
        if re.search(r"TOKEN|SECRET|PASSWORD|API_KEY", key) and len(value) >= 6:
            text = text.replace(value, "***")
    return text


def provenance() -> dict[str, Any]:
    """Who runs what where: code, packages, command, host, job. No environment but the job's ids."""
    return {
        "code": code_version(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "argv": [redact(word) for word in sys.argv],
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "campaign": os.environ.get("TESSERA_CAMPAIGN"),
    }


def code_version() -> str:
    """The snapshot's hash, or the commit with `+<hash of the changes>` where the checkout differs from it."""
    if ROOT.parent.name == "snapshots":
        return f"snapshot {ROOT.name}"
    try:
        commit = _git("rev-parse", "HEAD").decode().strip()
        changes = _git("diff", "HEAD", "--", "jobs", "lib", "launch.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git checkout)"
    return commit + (f"+{hashlib.sha256(changes).hexdigest()[:8]}" if changes else "")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> dict[str, str]:
    torch = sys.modules.get("torch")  # a stage without torch does not import it for this
    if torch is None or not torch.cuda.is_available():
        return {"device": "cpu"}
    return {"device": torch.cuda.get_device_name()}
