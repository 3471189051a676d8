"""Submit files: a record of each submission, written before it is sent and never rewritten.

A submit file holds the tasks with their configurations and, for every array, index -> digest. `<id>.jobs.json`
beside it maps array names to job ids, as far as the scheduler has answered. A damaged file costs the next command a
question to SLURM, not the sweep: names of jobs hold the id of their submission, and so does the name of the file.
"""

import itertools
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lib.artifacts import code_version, store
from lib.base import files as whole
from lib.base import places
from lib.base.errors import Damaged, TesseraError
from lib.plans import runs
from lib.plans.plan import Task
from lib.plans.resources import Resources

SENDING = "sending"  # in place of a job id: sbatch was called, and its answer is not known
REFUSED = "refused"  # in place of a job id: sbatch refused, or was not called


@dataclass(frozen=True)
class Array:
    """Tasks with the same resources. Element i of the job array runs `elements()[i]`, one task after the other.

    bundles: how many of the `digests` each element runs; empty if each one runs one
    """

    name: str
    digests: list[str]
    resources: Resources
    bundles: list[int] = field(default_factory=list)

    def elements(self) -> list[list[str]]:
        """The digests of each element."""
        rest = iter(self.digests)
        return [list(itertools.islice(rest, count)) for count in self.bundles or [1] * len(self.digests)]

    def placed(self) -> Iterator[tuple[str, int]]:
        """Digest and element of every task."""
        return ((digest, index) for index, several in enumerate(self.elements()) for digest in several)


@dataclass(frozen=True)
class Submit:
    """The content of a submit file.

    campaign: the id of the command that the user typed. Its controllers keep it, and failures are counted within it.
    snapshot: the code that the tasks run; commit: where it comes from (code_version.py). command: the launcher's
    arguments, which a controller repeats.
    """

    id: str
    created: float
    campaign: str
    root: str
    snapshot: str
    command: list[str]
    arrays: list[Array]
    tasks: dict[str, Task]
    controller: str | None = None
    commit: str = code_version.UNKNOWN  # of submissions before it was recorded


def new_id() -> str:
    """A new id. Ids sort by time."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(3)


def write(root: Path, sweep: str, submit: Submit) -> Path:
    """Write a submit file. Raises TesseraError if it exists."""
    file = places.submit_file(root, sweep, submit.id)
    if file.exists():
        raise TesseraError(f"{file} exists, and a submit file is never rewritten; run the command again")
    store.write_json(file, asdict(submit))
    return file


def remove(file: Path) -> None:
    """Remove a submit file of which SLURM has taken nothing, and what is beside it: of a large plan it is large."""
    shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    for path in (file, places.submit_jobs(file)):
        path.unlink(missing_ok=True)


def read(file: Path) -> Submit:
    """Read a submit file. Raises Damaged naming it if it is, and OSError if it cannot be read at all."""
    try:
        values = json.loads(file.read_bytes())
        tasks = {digest: _task(task) for digest, task in values.pop("tasks").items()}
        arrays = [_array(entry) for entry in values.pop("arrays")]
        return Submit(arrays=arrays, tasks=tasks, **_known(Submit, values))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(file, f"the submit file is damaged ({type(error).__name__}: {error})") from error


def all_of(root: Path, sweep: str = "*", damaged: list[Path] | None = None) -> Iterator[tuple[Path, Submit]]:
    """Every submission of a sweep, or of all of them, and its file, each sweep's oldest first.

    damaged: takes the files that cannot be understood; without it they raise Damaged.
    """
    for file in files(root, sweep):
        try:
            submit = read(file)
        except Damaged:
            if damaged is None:
                raise
            damaged.append(file)
        else:
            yield file, submit


def files(root: Path, sweep: str = "*") -> Iterator[Path]:
    """The submit files of a sweep, or of all of them one after the other, each sweep's oldest first."""
    folder = places.submits(root, sweep).relative_to(root)
    for file in sorted(root.glob(f"{folder}/*.json")):
        if not file.name.endswith(places.JOBS_SUFFIX) and not file.name.startswith("."):
            yield file


def other_runs(root: Path, run: str) -> list[str]:
    """The other runs of the same sweep that were submitted."""
    folders = root.glob(str(places.submits(Path(), "*")))
    names = {folder.parent.name for folder in folders} - {run}
    return sorted(name for name in names if runs.sweep_and_profile(name)[0] == runs.sweep_and_profile(run)[0])


def record_jobs(file: Path, jobs: dict[str, str]) -> None:
    """Write the job ids of the arrays beside their submit file."""
    store.write_json(places.submit_jobs(file), jobs)


def jobs(file: Path, names: Iterable[str]) -> dict[str, str]:
    """Array name -> job id, SENDING or REFUSED, of the arrays with these `names` for which sbatch was called.

    If the record is damaged, all of them count as SENDING: SLURM is asked for their names.
    """
    path = places.submit_jobs(file)
    try:
        found = json.loads(path.read_bytes())
        return {str(name): str(job) for name, job in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        print(f"{path}: damaged ({error}); SLURM is asked for its jobs by name", file=sys.stderr)
        return dict.fromkeys(names, SENDING)


def jobs_of_campaign(root: Path, sweep: str, campaign: str) -> list[str]:
    """The ids of the arrays that a command and its controllers have sent; SENDING where an id is not known."""
    sent = (jobs(file, []).values() for file, submit in all_of(root, sweep, damaged=[]) if submit.campaign == campaign)
    return [job for found in sent for job in found if is_sent(job)]


def is_sent(job: str | None) -> bool:
    """Whether SLURM has taken a job, or may have, by what is recorded of it (see `jobs`; None: nothing)."""
    return job not in (REFUSED, None)


def stands(file: Path, submit: Submit) -> bool:
    """Whether SLURM has taken jobs of a submission, or may have, and the user has not cancelled them since."""
    taken = jobs(file, [array.name for array in submit.arrays])
    return not places.submit_cancelled(file).exists() and any(map(is_sent, taken.values()))


def record_cancelled(root: Path, sweep: str) -> None:
    """Note that the user has cancelled what a sweep has submitted so far: whoever submits it again is asked again."""
    for file in files(root, sweep):
        whole.write_bytes(places.submit_cancelled(file), b"")


def record_refused(file: Path, said: str) -> None:
    """Write what sbatch has said when it refused a job of a submission."""
    whole.write_bytes(places.submit_refused(file), said.encode())


def refused(file: Path) -> str:
    """What sbatch has said when it refused a job of a submission; empty if it has refused none."""
    try:
        return places.submit_refused(file).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def sent_at(file: Path) -> float:
    """When the last job of a submission was sent, by the clock of the file system."""
    record = places.submit_jobs(file)
    return (record if record.exists() else file).stat().st_mtime


def _array(values: dict[str, Any]) -> Array:
    return Array(**_known(Array, {**values, "resources": _resources(values)}))


def _task(values: dict[str, Any]) -> Task:
    return Task(**_known(Task, {**values, "resources": _resources(values)}))


def _resources(values: dict[str, Any]) -> Resources:
    return Resources(**_known(Resources, values["resources"]))


def _known(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass: newer code may have written others, and older code none of the newest."""
    return {one.name: values[one.name] for one in fields(kind) if one.name in values}
