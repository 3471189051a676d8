"""The GPUs of this machine that tasks may use. torch is not asked: that takes seconds, and every stage asks it."""

import functools
import os
import subprocess
from collections.abc import Iterable

from lib.base.errors import UsageError
from lib.base.gpus import VISIBLE
from lib.plans.plan import Task
from lib.running import environment

SMI = "nvidia-smi"
ANSWER_SECONDS = 60.0


def here() -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that tasks here may use: those of the user's shell, or all."""
    return usable(os.environ.get(VISIBLE), len(drivers()) if drivers() else None)


def usable(visible: str | None, there: int | None) -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves of `there` GPUs. Neither: not set, or not known.

    CUDA reads the variable up to the first entry that names no GPU, so that `-1` or an empty value hides all. Entries
    are indices, or names (UUIDs) of a GPU or of a part of one (MIG).
    """
    if visible is None:
        return tuple(map(str, range(there or 0)))
    found: list[str] = []
    for entry in map(str.strip, visible.split(",")):
        names = entry.startswith(("GPU-", "MIG-")) or (entry.isdigit() and (there is None or int(entry) < there))
        if not names or entry in found:
            break
        found.append(entry)
    return tuple(found)


@functools.cache
def drivers() -> tuple[str, ...]:
    """The driver's version once for each GPU of this machine, by nvidia-smi; empty where that does not answer."""
    line = [SMI, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = environment.answer(line, ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = map(str.strip, answer.stdout.splitlines() if answer.returncode == 0 else ())
    return tuple(line for line in found if line[:1].isdigit())


def of(tasks: Iterable[Task]) -> tuple[str, ...]:
    """The GPUs for these tasks, `here`; none if no task asks for any."""
    return here() if any(task.resources.gpus for task in tasks) else ()


def check(tasks: Iterable[Task]) -> None:
    """Raise UsageError naming the first task that asks for more GPUs than there are."""
    asking = [task for task in tasks if task.resources.gpus]
    found = of(asking)
    for task in asking:
        if task.resources.gpus > len(found):
            raise UsageError(
                f"node {task.node}: resources: gpus {task.resources.gpus} is more than this machine has for tasks "
                f"({len(found)}: {_source()}); a profile without GPUs (PROFILE=laptop), or a cluster (CLUSTER=), has "
                "room for the sweep"
            )


def _source() -> str:
    """How the number of GPUs is known."""
    if (visible := os.environ.get(VISIBLE)) is not None:
        return f"{VISIBLE} is {visible!r}"
    return f"{SMI} lists them" if drivers() else f"{SMI} lists none"
