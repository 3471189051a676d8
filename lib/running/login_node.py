"""Tasks that need the network, on a cluster whose only place with one is the login node."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lib.base.errors import TesseraError, counted, verb
from lib.plans.plan import Plan
from lib.running import local, site, survey
from lib.running.site import Cluster
from lib.running.submit import Request


def run(root: Path, plan: Plan, cluster: Cluster, request: Request, console: Console) -> None:
    """Run those of the plan's tasks that must run here and can start, within `login_node` of the cluster file.

    They are bound to so many CPUs; memory is counted as the tasks state it.
    Raises TesseraError if one of them fails.
    """
    found = survey.local(root, plan)
    ready = [task for task in survey.ready(plan, found) if site.on_login_node(task.resources, cluster)]
    if not ready or cluster.login_node is None:
        return
    count = len(ready)
    what = f"{counted(count, 'task')} {verb(count, 'need')} the network and {verb(count, 'run')} on this login node"
    console.print(what, highlight=False)
    below = {digest: plan.tasks[digest] for task in ready for digest in task.needs()}  # done, so they do not run
    part = replace(plan, tasks=below | {task.digest: task for task in ready})
    with _bound_to(cluster.login_node.cpus):
        failed = local.run(root, part, request.campaign, request.command, 1, console, cluster.login_node)
    if failed:
        raise TesseraError(f"{counted(len(failed), 'task')} failed on the login node; nothing was submitted")


@contextlib.contextmanager
def _bound_to(cpus: int) -> Iterator[None]:
    """Bind this process, and those that it starts in the block, to so many CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
