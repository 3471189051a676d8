"""Jobs for sbatch: their parameters, their script (by submitit), and sending them until SLURM has taken them."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lib.base import files, mpi
from lib.base.errors import TesseraError
from lib.plans.resources import Resources
from lib.running import container, environment, sbatch_options, site, slurm
from lib.running.site import Cluster

PAUSES = (2.0, 5.0, 10.0)  # seconds before sbatch is tried again
LIMIT = re.compile(r"max\w*submit\w*|job submit limit|submission limit", re.IGNORECASE)
UNHEARD = re.compile(r"timed out|unable to contact|connect|temporar", re.IGNORECASE)
PREFIX = re.compile(r"^(sbatch: )?(error: )?((Batch job submission failed|allocation failure): )?")  # of its lines
SBATCH_SECONDS = 300.0  # sbatch itself gives up sooner, unless its process hangs
# Lines for submitit's own runner: a signal before the time limit, which would end the ranks of srun, and its mark.
SETUP_MARK = "setup: "  # begins what is said of a line of set-up that fails
OF_SUBMITIT = ("#SBATCH --signal=", "export SUBMITIT_")


class Refused(TesseraError):
    """sbatch refused a job, and would do so again."""


class LimitReached(Refused):
    """The user may not have that many jobs at a time."""


class Unanswered(TesseraError):
    """sbatch failed in a way that does not say whether SLURM has taken the job."""


def submit(file: Path, name: str, count: int, parameters: dict[str, Any], pauses: Sequence[float] = PAUSES) -> str:
    """Submit the job `name` of a submit file: an array of `count` tasks, or a controller. Returns the job id.

    Raises as `send`.
    """
    return send(file.with_suffix("") / f"{name}.sh", name, script(file, name, parameters, count), pauses)


def send(written: Path, name: str, text: str, pauses: Sequence[float] = PAUSES) -> str:
    """Write a script and give it to sbatch. Returns the job id.

    While SLURM does not answer, sbatch is tried again after each of the `pauses` (seconds). Before that SLURM is
    asked for the name, which no other job has: SLURM may have taken the job although sbatch failed.
    Raises Refused, LimitReached or Unanswered.
    """
    files.write_bytes(written, text.encode())
    for pause in (*pauses, None):
        try:
            return _sbatch(written, name)
        except Unanswered as error:
            if pause is None:
                raise
            print(f"{error}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)
            if taken := _taken(name):
                return taken
    raise AssertionError("unreachable")


def tried(written: Path, name: str, text: str) -> str:
    """What sbatch says of a script that it takes and does not submit: when and where the job would start.

    Raises as `send`, but does not try again.
    """
    files.write_bytes(written, text.encode())
    answer = _answer(name, "--test-only", str(written))
    if answer.returncode == 0:
        return _said(f"{answer.stderr}\n{answer.stdout}")
    raise _failure(name, answer)


def _sbatch(written: Path, name: str) -> str:
    answer = _answer(name, str(written))
    found = re.search(r"Submitted batch job (\d+)", answer.stdout)
    if answer.returncode == 0 and found:
        return found.group(1)
    raise _failure(name, answer)


def _answer(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return environment.answer(["sbatch", *words], SBATCH_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unanswered(f"sbatch {name}: no answer in {SBATCH_SECONDS:g} s") from error
    except OSError as error:
        raise Refused(f"sbatch {name}: cannot be started: {error}") from error


def _failure(name: str, answer: subprocess.CompletedProcess[str]) -> TesseraError:
    """The error that an answer without a job is. What was killed, or says nothing, may have been heard."""
    said = _said(f"{answer.stderr}\n{answer.stdout}")
    if answer.returncode > 0 and said:
        kind = _kind(said)
        return kind(f"sbatch {'refused ' if issubclass(kind, Refused) else ''}{name}: {said}")
    return Unanswered(f"sbatch {name}: {said or f'ended with {answer.returncode}, silent'}")


def _said(text: str) -> str:
    """What sbatch has said, every line once, without what each of them begins with."""
    lines = (re.sub(PREFIX, "", line) for line in text.splitlines())
    return "; ".join(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))


def _kind(message: str) -> type[TesseraError]:
    if LIMIT.search(message):
        return LimitReached
    return Unanswered if UNHEARD.search(message) else Refused


def _taken(name: str) -> str | None:
    """The id of the job `name`, if SLURM has taken it. Raises Unanswered if that cannot be told."""
    try:
        return slurm.find(name)
    except slurm.SchedulerUnavailable as error:
        raise Unanswered(f"sbatch {name}: not known whether SLURM has taken it: {error}") from error


def parameters(
    cluster: Cluster, resources: Resources, name: str, snapshot: str, parallelism: int, after: Iterable[str] = ()
) -> dict[str, Any]:
    """submitit's parameters of an array of tasks with these resources; without what the cluster file leaves open.

    after: the jobs that a controller waits for; no other job waits for jobs.
    """
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
        "setup": setup_lines(cluster, snapshot),
    }
    chosen = {key: value for key, value in chosen.items() if value is not None or key == "wckey"}
    return {**chosen, "additional_parameters": {"requeue": True, **_passed(cluster, gpu, bool(after), chosen)}}


def _passed(cluster: Cluster, gpu: bool, controller: bool, chosen: dict[str, Any]) -> dict[str, Any]:
    """Options that the cluster file passes through; a key of its own (`constraint`) counts more."""
    several = [cluster.sbatch, cluster.gpu_sbatch if gpu else None]
    passed = [sbatch_options.passed(options or {}, controller).items() for options in several]
    return {name: value for items in passed for name, value in items if name not in chosen}


def _partition(cluster: Cluster, resources: Resources) -> str | None:
    if resources.network and cluster.network_partition:
        return cluster.network_partition
    return cluster.gpu_partition if resources.gpus and cluster.gpu_partition else cluster.partition


def interactive(cluster: Cluster, command: Sequence[str], gpu: bool = False) -> str:
    """A shell line that runs a command where the cluster has a network, or on one GPU."""
    asked = {"partition": cluster.network_partition, "account": cluster.account, "qos": cluster.qos}
    if gpu:
        asked |= {
            "partition": cluster.gpu_partition or cluster.partition,
            "account": cluster.gpu_account or cluster.account,
            "constraint": cluster.constraint,
            **({"gres": cluster.gres.format(gpus=1)} if cluster.gres else {"gpus": "1"}),
        }
    line = ["srun", *(f"--{key}={value}" for key, value in asked.items() if value), "--cpus-per-task=2"]
    return shlex.join([*line, *command])


def setup_lines(cluster: Cluster, snapshot: str) -> list[str]:
    """The shell lines before a task: set-up and variables of the cluster file, then the snapshot's code."""
    environment = {mpi.SRUN_TYPE: cluster.mpi, **(cluster.env or {})}
    if cluster.container:
        environment[container.VARIABLE] = cluster.container.as_variable()
    exports = [f"export {key}={shlex.quote(str(value))}" for key, value in environment.items()]
    return [
        *guarded(cluster.setup),
        *exports,
        f"export PYTHONPATH={shlex.quote(snapshot)}",
        f"cd {shlex.quote(snapshot)}",
    ]


def guarded(lines: Sequence[str]) -> list[str]:
    """Shell lines that say which command of theirs fails, on stderr. At one that is not found, or no program, they end.

    They go on after other failures: what modules define may fail without harm. What fails inside a file that they
    source is neither said, since it may hold a secret, nor an end.
    """
    if not lines:
        return []
    said = f'echo "{SETUP_MARK}$BASH_COMMAND: ended with $code" >&2; [ $code -lt 126 ] || exit $code'
    trap = f"trap 'code=$?; [ ${{#BASH_SOURCE[@]}} -gt $setup_depth ] || {{ {said}; }}' ERR"
    return ["setup_depth=${#BASH_SOURCE[@]}", trap, *lines, "trap - ERR"]


def script(file: Path, name: str, parameters: dict[str, Any], count: int) -> str:
    """The sbatch script of the job `name` of a submit file; of an array of `count` tasks, if it has several."""
    command = [sys.executable, "-u", "-m", "lib.running.job", str(file), name]
    return of_command(command, file.with_suffix(""), parameters, count)


def of_command(command: Sequence[str], folder: Path, parameters: dict[str, Any], count: int = 1) -> str:
    """The sbatch script of a command, whose logs go to `folder`; of an array of `count` of it, if it has several."""
    from submitit.slurm import slurm as submitit_slurm

    several = count if count > 1 else None
    text = submitit_slurm._make_sbatch_string(shlex.join(command), folder, map_count=several, **parameters)
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(OF_SUBMITIT))
