"""Submit files: what was submitted, frozen before it is, and never rewritten.

A submit file holds the tasks with their configurations and, for every array, index -> digest. `<id>.jobs.json`
beside it maps array names to job ids, once the scheduler has answered.
"""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans.plan import Task
from lib.plans.resources import Resources

REFUSED = "refused"  # in place of a job id: sbatch said no, or was not called


@dataclass(frozen=True)
class Array:
    """Tasks with the same resources; index i of the scheduler's array runs `digests[i]`."""

    name: str
    digests: list[str]
    resources: Resources


@dataclass(frozen=True)
class Submit:
    """One frozen submit."""

    id: str
    created: float
    campaign: str
    root: str
    snapshot: str
    command: list[str]
    arrays: list[Array]
    tasks: dict[str, Task]
    controller: str | None = None


def new_id() -> str:
    """An id that sorts by time and no other submit has."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3)


def write(root: Path, sweep: str, submit: Submit) -> Path:
    """Freeze a submit. Raises TesseraError when its file exists."""
    file = places.submit_file(root, sweep, submit.id)
    if file.exists():
        raise TesseraError(f"{file}: a submit file is never rewritten")
    store.write_json(file, asdict(submit))
    return file


def read(file: Path) -> Submit:
    """The submit that `write` froze. Raises TesseraError naming a damaged file."""
    try:
        values = json.loads(file.read_bytes())
        tasks = {digest: _task(task) for digest, task in values.pop("tasks").items()}
        arrays = [
            Array(entry["name"], entry["digests"], Resources(**entry["resources"])) for entry in values.pop("arrays")
        ]
        return Submit(arrays=arrays, tasks=tasks, **values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TesseraError(f"{file}: no readable submit file: {error}") from error


def all_of(root: Path, sweep: str) -> Iterator[tuple[Path, Submit]]:
    """Every submit of a sweep, oldest first."""
    for file in sorted(places.submits(root, sweep).glob("*.json")):
        if not file.name.endswith(".jobs.json") and not file.name.startswith("."):
            yield file, read(file)


def record_jobs(file: Path, jobs: dict[str, str]) -> None:
    """Write the job ids of a submit's arrays beside its file."""
    store.write_json(file.with_suffix(".jobs.json"), jobs)


def jobs(file: Path) -> dict[str, str]:
    """Array name -> job id, as far as known."""
    path = file.with_suffix(".jobs.json")
    return json.loads(path.read_bytes()) if path.exists() else {}


def _task(values: dict[str, Any]) -> Task:
    return Task(**{**values, "resources": Resources(**values["resources"])})
