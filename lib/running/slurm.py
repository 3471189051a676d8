"""Everything that talks to SLURM: sbatch (through submitit), squeue, sacct, scancel, scontrol."""

import getpass
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lib.base import mpi
from lib.base.errors import TesseraError
from lib.plans.resources import Resources
from lib.running import site
from lib.running.site import Cluster
from lib.running.submissions import REFUSED, Array

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
DEFAULT_MAX_ARRAY_SIZE = 1001  # SLURM's own default
ANSWER_SECONDS = 60.0
LIVE, FINISHED, UNKNOWN = "live", "finished", "unknown"


class SchedulerUnavailable(TesseraError):
    """SLURM did not answer. Nothing may be concluded from that."""


def queue() -> dict[Element, tuple[str, str]]:
    """(array name, index) -> (job id, state) of every waiting or running job of the user.

    Raises SchedulerUnavailable if squeue fails.
    """
    jobs = {}
    for line in _queue_lines():
        job, index, name, state = _fields(line, 4, "squeue")
        jobs[(name, int(index) if index.isdigit() else 0)] = (job, state)
    return jobs


def queue_length() -> int:
    """How many jobs of the user wait or run, counted as MaxSubmitJobs does: every array element is a job.

    Raises SchedulerUnavailable if squeue fails.
    """
    return len(_queue_lines())


def _queue_lines() -> list[str]:
    command = ["squeue", "--array", f"--user={getpass.getuser()}", "--format=%F|%K|%j|%T"]
    return _table(command, "ARRAY_JOB_ID|ARRAY_TASK_ID|NAME|STATE")


def history(array_names: Sequence[str], since: float) -> dict[Element, str]:
    """(array name, index) -> state in the accounting. Raises SchedulerUnavailable if sacct fails."""
    if not array_names:
        return {}
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since - 3600))
    command = ["sacct", "-X", "-P", "--format=JobID,JobName,State", f"--starttime={start}"]
    states = {}
    for line in _table([*command, f"--name={','.join(array_names)}"], "JobID|JobName|State"):
        job, name, state = _fields(line, 3, "sacct")
        word = state.split(" ")[0].rstrip("+")  # "CANCELLED by 0"
        try:
            states.update({(name, index): word for index in indices(job)})
        except ValueError as error:
            raise SchedulerUnavailable(f"cannot read this line of sacct: {line!r}") from error
    return states


def indices(job: str) -> list[int]:
    """The array indices in a job id: 7 -> [0], 7_3 -> [3], 7_[1-3,8%2] -> [1, 2, 3, 8].

    A job that is not an array has index 0: submitit submits a single task like that.
    """
    _, separator, text = job.partition("_")
    if not separator:
        return [0]
    found: list[int] = []
    for part in text.strip("[]").split("%")[0].split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def judge(element: Element, queued: dict[Element, Any], states: dict[Element, str], job: str | None, age: float) -> str:
    """Whether a submitted, unfinished array element is LIVE, FINISHED or UNKNOWN.

    job: the id that sbatch gave, REFUSED, or None if its answer was never recorded; age: of the submission, in seconds.
    FINISHED needs evidence: a terminal state in the accounting, a refusal, or an sbatch that never answered and has
    left nothing in the queue for longer than it may take. No information means UNKNOWN, never a reason to resubmit.
    """
    if element in queued:
        return LIVE
    state = states.get(element)
    if state in TERMINAL:
        return FINISHED
    if state is not None:
        return UNKNOWN  # the accounting lags behind, or lists a lost job as running
    unsent = job == REFUSED or (job is None and age > 10 * ANSWER_SECONDS)
    return FINISHED if unsent else UNKNOWN


def submit_array(folder: Path, array: Array, call: Any, arguments: list[tuple], parameters: dict[str, Any]) -> str:
    """Submit `call(*arguments[i])` as index i of an array, through submitit. Returns the job id."""
    import submitit

    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=0)
    executor.update_parameters(**parameters)
    try:
        jobs = executor.map_array(call, *zip(*arguments))
    except submitit.core.utils.FailedJobError as error:
        raise TesseraError(f"sbatch refused {array.name}: {error}") from error
    return jobs[0].job_id.split("_")[0]


def perhaps_sent(error: TesseraError) -> bool:
    """Whether SLURM may have taken the job although sbatch failed."""
    return bool(re.search(r"timed out|unable to contact", str(error), re.IGNORECASE))


def parameters(
    cluster: Cluster, resources: Resources, name: str, snapshot: str, parallelism: int, after: Iterable[str] = ()
) -> dict[str, Any]:
    """submitit's parameters for an array of tasks with these resources; without what the cluster file leaves open."""
    gpu = resources.gpus > 0
    nodes, ranks = site.ranks_per_node(resources, cluster)
    gres = cluster.gres.format(gpus=resources.gpus) if gpu and cluster.gres else None
    chosen = {
        "job_name": name,
        "time": max(1, round(resources.hours * 60)),
        "nodes": nodes,
        "ntasks_per_node": ranks,
        "cpus_per_task": resources.cpus,
        "mem": f"{round(resources.memory_gb * ranks * 1024)}M" if resources.memory_gb else None,
        "gres": gres,
        "gpus_per_node": resources.gpus if gpu and not gres else None,
        "partition": _partition(cluster, resources),
        "account": cluster.gpu_account if gpu and cluster.gpu_account else cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint if gpu else None,
        "wckey": cluster.wckey,
        "dependency": "afterany:" + ":".join(after) if after else None,
        "array_parallelism": max(1, parallelism),
        "stderr_to_stdout": True,
        "use_srun": False,
        "additional_parameters": {"requeue": True},
        "setup": setup_lines(cluster, snapshot),
    }
    return {key: value for key, value in chosen.items() if value is not None or key == "wckey"}


def _partition(cluster: Cluster, resources: Resources) -> str | None:
    if resources.network and cluster.network_partition:
        return cluster.network_partition
    return cluster.gpu_partition if resources.gpus and cluster.gpu_partition else cluster.partition


def interactive(cluster: Cluster, command: Sequence[str]) -> str:
    """A shell line that runs a command where the cluster has a network."""
    asked = {"partition": cluster.network_partition, "account": cluster.account, "qos": cluster.qos}
    line = ["srun", *(f"--{key}={value}" for key, value in asked.items() if value), "--cpus-per-task=2"]
    return shlex.join([*line, *command])


def setup_lines(cluster: Cluster, snapshot: str) -> list[str]:
    """The shell lines before a task: set-up and variables of the cluster file, then the snapshot's code."""
    environment = {mpi.SRUN_TYPE: cluster.mpi, **(cluster.env or {})}
    exports = [f"export {key}={shlex.quote(str(value))}" for key, value in environment.items()]
    return [*cluster.setup, *exports, f"export PYTHONPATH={shlex.quote(snapshot)}", f"cd {shlex.quote(snapshot)}"]


def script(folder: Path, parameters: dict[str, Any], count: int) -> str:
    """The sbatch script of an array of `count` tasks."""
    from submitit.slurm import slurm

    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
    return slurm._make_sbatch_string(command, folder, map_count=count if count > 1 else None, **parameters)


def max_array_size(cluster: Cluster) -> int:
    """How many indices an array may have, by the cluster file or by SLURM's configuration."""
    if cluster.max_array_size:
        return cluster.max_array_size
    for line in _ask(["scontrol", "show", "config"]):
        if match := re.match(r"MaxArraySize\s*=\s*(\d+)", line):
            return int(match.group(1))
    return DEFAULT_MAX_ARRAY_SIZE


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs."""
    if job_ids := sorted(job_ids):
        _ask(["scancel", *job_ids])


def _table(command: list[str], header: str) -> list[str]:
    """The lines below the header of a SLURM command's table. Raises SchedulerUnavailable if there is no header."""
    lines = _ask(command)
    if header not in lines:
        raise SchedulerUnavailable(f"{command[0]} did not print its table; its output began with {lines[:1]}")
    return lines[lines.index(header) + 1 :]


def _ask(command: list[str]) -> list[str]:
    """The lines that a SLURM command prints. Raises SchedulerUnavailable if it fails."""
    environment = {**os.environ, "SLURM_BITSTR_LEN": "0"}  # else long lists of indices are cut with "..."
    try:
        answer = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerUnavailable(f"{command[0]} did not answer: {error}") from error
    if answer.returncode != 0:
        raise SchedulerUnavailable(f"{command[0]} failed ({answer.returncode}): {answer.stderr.strip()}")
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def _fields(line: str, count: int, command: str) -> list[str]:
    fields = line.split("|")
    if len(fields) != count:
        raise SchedulerUnavailable(f"cannot read this line of {command}: {line!r}")
    return fields
