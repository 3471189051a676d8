"""What `plan --scripts` prints: the batch script of every kind of job that a sweep will submit."""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from rich.console import Console

from lib.base import places
from lib.base.errors import UsageError, counted
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import batch, bundles, site, slurm, snapshot, submit
from lib.running.site import Cluster

IDENTITY = "PLAN"  # in place of the id of a submission
AFTER = "IDS_OF_THE_ARRAYS"


def needed(cluster: Cluster | None) -> Cluster:
    """The cluster that scripts are for. Raises UsageError without one."""
    if cluster is None:
        raise UsageError("--scripts: only a cluster has batch scripts; name one with --cluster (CLUSTER= of make)")
    return cluster


def show(plan: Plan, cluster: Cluster, root: Path, done: Collection[str], console: Console) -> None:
    """Print a script for all tasks that ask for the same resources, whether they can start now or not. SLURM need not
    be there."""
    todo = [task for digest, task in plan.tasks.items() if digest not in done]
    here = [task for task in todo if site.on_login_node(task.resources, cluster)]
    if here:
        console.print(f"{_described(here)} on the login node, without a script", highlight=False)
    size, note = _array_size(cluster)
    if note:
        console.print(f"[yellow]{note}[/]", highlight=False)
    for heading, text in _scripts(plan, cluster, root, [task for task in todo if task not in here], size):
        console.print(f"[bold]{heading}[/]", highlight=False, soft_wrap=True)
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _scripts(plan: Plan, cluster: Cluster, root: Path, tasks: list[Task], size: int) -> Iterator[tuple[str, str]]:
    """Heading and script of each kind of task, then those of a controller."""
    code, file = str(snapshot.target(root)), places.submit_file(root, plan.run, IDENTITY)

    def script(name: str, resources: Resources, count: int, after: Collection[str] = ()) -> str:
        asked = batch.parameters(cluster, resources, name, code, cluster.array_parallelism, after)
        return batch.script(file, name, asked, count)

    for number, (resources, jobs) in enumerate(submit.by_resources(bundles.of(tasks, cluster.bundle_minutes)).items()):
        several, count = [task for job in jobs for task in job], min(len(jobs), size)
        bundled = f", in {len(jobs)} job{'s' * (len(jobs) > 1)}" if len(jobs) < len(several) else ""
        heading = f"{_described(several)}, at most {count} in an array{bundled}"
        yield heading, script(places.job(plan.run, IDENTITY, number), resources, count)
    if tasks:
        controller = places.job(plan.run, IDENTITY, "controller")
        yield (
            "the controller after each wave of arrays",
            script(controller, submit.controller_resources(cluster), 1, [AFTER]),
        )


def _described(tasks: list[Task]) -> str:
    """How many tasks, and of which nodes of the sweep."""
    nodes = Counter(task.node for task in tasks)
    return f"{counted(len(tasks), 'task')} ({', '.join(f'{node} {count}' for node, count in nodes.items())})"


def _array_size(cluster: Cluster) -> tuple[int, str]:
    """The tasks that an array may have, and what to know if SLURM cannot be asked."""
    try:
        return slurm.max_array_size(cluster), ""
    except slurm.SchedulerUnavailable as error:
        assumed = slurm.DEFAULT_MAX_ARRAY_SIZE
        return assumed, f"{error}; arrays of at most {assumed} tasks are assumed (max_array_size in the cluster file)"
