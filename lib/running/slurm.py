"""What SLURM says, and what it is told besides jobs to run: squeue, sacct, scontrol, scancel."""

import os
import pwd
import re
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from lib.base import places
from lib.base.errors import TesseraError
from lib.running import environment
from lib.running.site import Cluster

Element = tuple[str, int]  # array name, index
TERMINAL = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}
HELD = {"REQUEUE_HOLD", "SPECIAL_EXIT"}  # put back into the queue, and held there
WAITING = {"PENDING", "REQUEUED", *HELD}
ENDING = {"COMPLETING", "STAGE_OUT"}  # the job's process has ended; SLURM still cleans up
DEFAULT_MAX_ARRAY_SIZE = 1001  # SLURM's own default
ANSWER_SECONDS = 60.0
ASKED_AT_ONCE = 1000  # jobs
WINDOW_SECONDS = 7 * 24 * 3600.0  # how far back a job is looked for whose id is not known, for clocks that differ

# Why a waiting job will not start by itself, as squeue says it, with or without blanks.
STUCK = re.compile(
    r"held|jobhold|never\s*satisfied|badconstraints|invalid(account|qos)|notallowed|qosmin|per(job|node)|maxmemperlimit|"
    r"partition(timelimit|nodelimit|config)|reservation(deleted|invalid)|deadline|burstbufferoperation",
    re.IGNORECASE,
)
RELEASED = re.compile(r"launch failed|requeued held", re.IGNORECASE)  # held by SLURM after a failure of the node
DATE = re.compile(r"\d{4}-\d\d-\d\dT")  # a time as squeue gives it; N/A where it knows none
ORDINARY = {"", "None", "Resources", "Priority", "Dependency", "JobArrayTaskLimit", "BeginTime", "Cleaning"}


class SchedulerUnavailable(TesseraError):
    """SLURM did not answer. Nothing may be concluded from that."""


class Job(NamedTuple):
    """A waiting or running job of the user, or one element of an array.

    reason: why it waits; start: when SLURM expects it to start (`2026-12-01T09:30:00`), empty if it does not say
    """

    id: str
    state: str
    reason: str = ""
    start: str = ""

    def is_waiting(self) -> bool:
        """Whether it has not begun, or waits to begin again."""
        return self.state in WAITING

    def is_stuck(self) -> bool:
        """Whether it waits for something that will not happen by itself."""
        return self.state in HELD or (self.is_waiting() and bool(STUCK.search(self.reason)))

    def was_held_by_slurm(self) -> bool:
        """Whether SLURM itself held it, after its launch had failed on a node."""
        return self.state == "PENDING" and bool(RELEASED.search(self.reason))

    def remark(self) -> str:
        """What a user should know of its state; empty if it simply waits or runs."""
        if self.state in ("PENDING", "RUNNING"):
            return "" if self.state == "RUNNING" or self.reason in ORDINARY else self.reason
        return self.state.lower().replace("_", " ")


def queue() -> dict[Element, Job]:
    """(array name, index) -> every waiting or running job of the user. Raises SchedulerUnavailable if squeue fails."""
    jobs = {}
    for line in _queue_lines():
        job, index, name, state, start, reason = _fields(line, 6, "squeue")
        found = Job(job, state, reason.replace("_", " ").strip("()"), start if DATE.match(start) else "")
        jobs[(name, int(index) if index.isdigit() else 0)] = found
    return jobs


def jobs_of(queued: dict[Element, Job], submissions: Collection[str]) -> set[str]:
    """The ids of the jobs in the queue that belong to submissions with these ids."""
    return {job.id for (name, _), job in queued.items() if places.submit_of_job(name) in submissions}


def find(name: str) -> str | None:
    """The id of the job with a name that no other has, by the queue or the accounting; None if neither knows it.

    Raises SchedulerUnavailable if squeue fails. Without accounting a job that has left the queue is not found.
    """
    waiting = next((job.id for (known, _), job in queue().items() if known == name), None)
    if waiting:
        return waiting
    try:
        rows = _accounting_rows([_window(time.time()), f"--name={name}"])
    except SchedulerUnavailable:
        return None
    return next((job.partition("_")[0] for job, *_ in rows), None)


def queue_length() -> int:
    """How many jobs of the user wait or run, counted as MaxSubmitJobs does: every array element is a job.

    Raises SchedulerUnavailable if squeue fails.
    """
    return len(_queue_lines())


def _queue_lines() -> list[str]:
    command = ["squeue", "--array", f"--user={os.getuid()}", "--format=%F|%K|%j|%T|%S|%r"]
    return _table(command, "ARRAY_JOB_ID|ARRAY_TASK_ID|NAME|STATE|START_TIME|REASON")


def history(ids: Sequence[str], names: Sequence[str] = (), since: float = 0.0) -> dict[Element, str]:
    """(array name, index) -> state in the accounting, of jobs with these ids, and of those with these names.

    since: when the named ones were submitted, by any clock. Raises SchedulerUnavailable if sacct fails.
    """
    found: dict[Element, str] = {}
    for several in _parts(ids):
        found |= _accounted([f"--jobs={','.join(several)}"])
    for several in _parts(names):
        found |= _accounted([_window(since), f"--name={','.join(several)}"])
    return found


def _parts(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """The words in parts that a command line has room for: the kernel allows 128 kB a word of it."""
    for start in range(0, len(words), ASKED_AT_ONCE):
        yield words[start : start + ASKED_AT_ONCE]


def _window(since: float) -> str:
    start = time.localtime(min(since, time.time()) - WINDOW_SECONDS)
    return f"--starttime={time.strftime('%Y-%m-%dT%H:%M:%S', start)}"


def _accounted(which: list[str]) -> dict[Element, str]:
    states = {}
    for job, name, state in _accounting_rows(which):
        word = state.split(" ")[0].rstrip("+")  # "CANCELLED by 0"
        try:
            states.update({(name, index): word for index in indices(job)})
        except ValueError as error:
            raise SchedulerUnavailable(f"cannot read this job of sacct: {job!r}") from error
    return states


def _accounting_rows(which: list[str]) -> list[list[str]]:
    lines = _table(["sacct", "-X", "-P", "--format=JobID,JobName,State", *which], "JobID|JobName|State")
    return [_fields(line, 3, "sacct") for line in lines]


def indices(job: str) -> list[int]:
    """The array indices in a job id: 7 -> [0], 7_3 -> [3], 7_[1-3,8%2] -> [1, 2, 3, 8].

    A job that is not an array has index 0: a single task is submitted like that.
    """
    _, separator, text = job.partition("_")
    if not separator:
        return [0]
    found: list[int] = []
    for part in text.strip("[]").split("%")[0].split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def max_array_size(cluster: Cluster) -> int:
    """How many tasks an array may have, by the cluster file or by SLURM's configuration; 1 if it takes no arrays."""
    if cluster.max_array_size:
        return cluster.max_array_size
    size = _configured("MaxArraySize")
    return max(1, int(size)) if size.isdigit() else DEFAULT_MAX_ARRAY_SIZE


def enforces_associations() -> bool:
    """Whether SLURM refuses jobs of accounts that the accounting does not know."""
    return _configured("AccountingStorageEnforce").lower() not in ("", "none", "(null)", "0")


def _configured(key: str) -> str:
    """A value of SLURM's configuration; empty if it does not name the key."""
    for line in _ask(["scontrol", "show", "config"]):
        name, _, value = line.partition("=")
        if name.strip() == key:
            return value.strip()
    return ""


class Associations(NamedTuple):
    """The accounts and QOS of a user, in lower case as the accounting keeps them."""

    accounts: list[str]
    qos: list[str]


def associations() -> Associations:
    """What the accounting knows of this user. Raises SchedulerUnavailable if there is none."""
    user = pwd.getpwuid(os.getuid()).pw_name
    lines = _ask(["sacctmgr", "-n", "-P", "show", "associations", f"user={user}", "format=Account,QOS"])
    rows = [_fields(line.lower(), 2, "sacctmgr") for line in lines]
    accounts, qos = {account for account, _ in rows}, {one for _, several in rows for one in several.split(",")}
    return Associations(sorted(accounts), sorted(qos - {""}))


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs."""
    for several in _parts(sorted(job_ids)):
        _ask(["scancel", *several])


def release(job_ids: Iterable[str]) -> None:
    """Let jobs start that are held."""
    for job in sorted(job_ids):
        _ask(["scontrol", "release", job])


def requeue(job_id: str) -> None:
    """Put a running job back into the queue."""
    _ask(["scontrol", "requeue", job_id])


def partitions() -> list[str]:
    """The names of all partitions."""
    return _ask(["sinfo", "-h", "-o", "%R"])


def mpi_types() -> list[str]:
    """What `srun --mpi=` takes here."""
    return " ".join(_ask(["srun", "--mpi=list"], errors=True)).split()


def _table(command: list[str], header: str) -> list[str]:
    """The lines below the header of a SLURM command's table. Raises SchedulerUnavailable if there is no header."""
    lines = _ask(command)
    if header not in lines:
        raise SchedulerUnavailable(f"{command[0]} did not print its table; its output began with {lines[:1]}")
    return lines[lines.index(header) + 1 :]


def _ask(command: list[str], errors: bool = False) -> list[str]:
    """The lines that a SLURM command prints; with `errors` also those on stderr.

    Raises SchedulerUnavailable if it fails.
    """
    whole = {"SLURM_BITSTR_LEN": "0"}  # else long lists of indices are cut with "..."
    try:
        answer = environment.answer(command, ANSWER_SECONDS, whole)
    except FileNotFoundError as error:
        raise SchedulerUnavailable(f"{command[0]} is not found here") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerUnavailable(f"{command[0]} did not answer: {error}") from error
    if answer.returncode != 0:
        said = answer.stderr.strip().splitlines() or ["without a message"]  # the last line says what ended it
        raise SchedulerUnavailable(f"{command[0]} failed ({answer.returncode}): {said[-1]}")
    text = answer.stdout + (answer.stderr if errors else "")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _fields(line: str, count: int, command: str) -> list[str]:
    fields = line.split("|", count - 1)
    if len(fields) != count:
        raise SchedulerUnavailable(f"cannot read this line of {command}: {line!r}")
    return fields
