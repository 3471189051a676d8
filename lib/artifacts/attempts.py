"""Attempts: a record and a log for every start of a task, with its provenance.

A record says in `reported_by_stage` whether the stage reported its error itself. If not, it was cut off (killed,
preempted, out of time), and the error is what the runner saw. An attempt that the user ended is INTERRUPTED, which is
no failure.
"""

import importlib.metadata
import json
import os
import platform
import re
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

from lib.artifacts import checkpoints, code_version, store
from lib.base import blocks, places

PACKAGES = ("numpy", "h5py", "torch", "transformers", "deepspeed", "tokenizers", "submitit")
RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"  # the outcomes
SET_BACK = "set back"  # an outcome that is no failure: something that the task reads has to be made again
KILLED = "killed: it ended without a message"
_paths: dict[str, str] = {}  # which of several ways of computing this attempt takes, by what is computed


def note(what: str, path: str) -> None:
    """Say in the log, and at the end in the record of this attempt, in which of several ways something is computed."""
    print(f"{what}: {path}", flush=True)
    _paths[what] = path


def reserve(directory: Path) -> tuple[int, Path]:
    """The number of the next attempt, and its log file, which is created so that no other attempt takes the number."""
    (directory / places.ATTEMPTS).mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        log = places.attempt(directory, number, "log")
        try:
            log.touch(exist_ok=False)
            return number, log
        except FileExistsError:
            number += 1


def begin(
    directory: Path, number: int | None, campaign: str | None = None, submit: str | None = None
) -> dict[str, Any]:
    """Write the record of an attempt that begins now. Without a `number` it takes the next free one.

    campaign, submit: ids of the command and of the submission; without them those in the environment.
    """
    _paths.clear()
    number = number or reserve(directory)[0]
    record = {"number": number, "outcome": RUNNING, "started": time.time(), "progress": progress(directory)}
    record |= provenance()
    record |= {"campaign": campaign or record["campaign"], "submit": submit or record["submit"]}
    store.write_json(places.attempt(directory, number, "json"), record)
    return record


def end(
    directory: Path, record: dict[str, Any], seconds: float, error: BaseException | None, set_back: bool = False
) -> None:
    """Complete the record of an attempt. set_back: it ended because something it reads has to be made again."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    outcome: dict[str, Any] = {"outcome": DONE}
    if error:
        outcome = {"outcome": SET_BACK if set_back else FAILED, "error": redact(describe(error))}
        outcome["reported_by_stage"] = True
    if isinstance(error, KeyboardInterrupt):
        outcome["outcome"] = INTERRUPTED
    record = {**record, **outcome, "seconds": round(seconds, 3), "peak_memory_mb": round(peak), **_device()}
    record |= {"paths": dict(_paths)} if _paths else {}
    store.write_json(places.attempt(directory, record["number"], "json"), record)


def close(directory: Path, number: int, error: str, reported_by_stage: bool = False, outcome: str = FAILED) -> None:
    """Complete the record of an attempt whose stage could not do so itself."""
    record = _read(places.attempt(directory, number, "json"))
    if record["outcome"] == RUNNING:
        ended = {"outcome": outcome, "error": error, "reported_by_stage": reported_by_stage}
        store.write_json(places.attempt(directory, number, "json"), {**record, **ended})


def close_last(directory: Path, error: str, set_back: bool = False) -> None:
    """Complete the record of the running attempt, on behalf of a rank that does not keep it."""
    running = [record for record in read(directory) if record["outcome"] == RUNNING]
    if running:
        outcome = SET_BACK if set_back else FAILED
        close(directory, running[-1]["number"], redact(error), reported_by_stage=True, outcome=outcome)


def close_running(directory: Path, error: str, outcome: str = FAILED, campaign: str | None = None) -> None:
    """Complete the records of attempts (of a campaign) that ended before they could."""
    for record in read(directory):
        if record["outcome"] == RUNNING and campaign in (None, record.get("campaign")):
            close(directory, record["number"], error, outcome=outcome)


def read(directory: Path) -> list[dict[str, Any]]:
    """All attempts, oldest first. One that was killed before its record was complete counts as running."""
    logs = sorted(log for log in (directory / places.ATTEMPTS).glob("*.log") if log.stem.isdigit())
    return [_read(log.with_suffix(".json")) for log in logs]


def _read(file: Path) -> dict[str, Any]:
    """The record in a file. One that cannot be read, or is none, is a failure of an unknown campaign that says so."""
    number = {"number": int(file.stem)}
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {**number, "outcome": RUNNING}
    except OSError as error:
        return {**number, "outcome": FAILED, "error": f"{file}: the record may not be read: {error.strerror}"}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("outcome"), str):
        return {**number, "outcome": FAILED, "error": f"{file}: the record is damaged"}
    return {**found, **number}


def counts(record: dict[str, Any]) -> bool:
    """Whether an attempt counts as a try that came to nothing; one killed before its record was complete does."""
    return record["outcome"] not in (DONE, INTERRUPTED)


def ended(directory: Path, submit: str, or_later: bool = False) -> bool:
    """Whether an attempt of that submission, or of a later one, has ended, in whatever way. Ids sort by time."""
    closed = [record.get("submit") or "" for record in read(directory) if record["outcome"] != RUNNING]
    return any(one == submit or (or_later and one > submit) for one in closed)


def reported_by_stage(record: dict[str, Any]) -> bool:
    """Whether the stage reported its error itself; older records call the key `told`."""
    return bool(record.get("reported_by_stage", record.get("told")))


def waits(directory: Path) -> bool:
    """Whether the last attempt did not fail: it was done, interrupted or set back, and the task has to run again."""
    records = read(directory)
    return bool(records) and records[-1]["outcome"] in (DONE, INTERRUPTED, SET_BACK)


def progress(directory: Path) -> int:
    """How far an unfinished artifact has got: the step of its last complete checkpoint, or the number of its blocks."""
    return len(blocks.names(directory / places.BLOCKS)) + checkpoints.last_step(directory / places.CHECKPOINTS)


def describe(error: BaseException) -> str:
    """`ValueError: message`, on one line."""
    return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}").strip()


def is_secret(key: str) -> bool:
    """Whether an environment variable of that name holds a secret."""
    return bool(re.search(r"TOKEN(?!IZ)|SECRET|PASSWORD|API_KEY", key))


def redact(text: str) -> str:
    """`text` without the value of any environment variable that holds a secret."""
    for key, value in os.environ.items():
        value = value.strip()  # a line end at its end is written as such, or not at all
        if is_secret(key) and len(value) >= 6:
            text = text.replace(value, "***")
    return text


def provenance() -> dict[str, Any]:
    """What runs where: code, packages, command, host, job. Of the environment only the ids of job and campaign."""
    return {
        "code": code_version.version(),
        "commit": code_version.commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "argv": [redact(word) for word in sys.argv],
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "campaign": os.environ.get("TESSERA_CAMPAIGN"),
        "submit": os.environ.get("TESSERA_SUBMIT"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> dict[str, str]:
    torch = sys.modules.get("torch")  # a stage that does not use torch must not import it here
    if torch is None or not torch.cuda.is_available():
        return {"device": "cpu"}
    return {"device": torch.cuda.get_device_name()}
