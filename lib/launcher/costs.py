"""What `plan` and `doctor` say of costs: hours and memory of tasks on GPUs, disk, weights that were dropped."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Column, Table

from lib.artifacts import weights
from lib.base.errors import counted
from lib.costs import devices
from lib.costs.devices import Device
from lib.launcher import amounts
from lib.launcher.sweep import Sweep
from lib.plans import disk, finished
from lib.plans.plan import Plan, Task
from lib.running import local, quota
from lib.running.quota import Left

MARGIN_GB = 1.0  # of disk, for what is not computed


def show(sweep: Sweep, done: set[str], console: Console) -> None:
    """Print everything that is known of the costs of the tasks to do."""
    todo = [digest for digest in sweep.plan.tasks if digest not in done]
    if any(sweep.plan.costs[digest].computed for digest in todo):
        console.print(table(sweep.plan, todo, sweep.device))
    for line in (*unknown(sweep.plan, todo), *disk_lines(sweep, todo), *dropped(sweep.root, sweep.plan, done)):
        console.print(line, highlight=False)


def table(plan: Plan, todo: Iterable[str], device: Device) -> Table:
    """Hours and memory of the tasks on GPUs, by node."""
    names = ("tasks", "time a task", "GPU time", "GPU memory, GB", "memory, GB")
    columns = [Column(name, justify="right") for name in names]
    about = f"computed from tokens, batch, precision and model size, not measured; {devices.assumptions(device)}"
    shown = Table(Column("node", no_wrap=True), *columns, title=about)
    nodes: dict[str, list[Task]] = {}
    for digest in todo:
        if plan.costs[digest].computed:
            nodes.setdefault(plan.tasks[digest].node, []).append(plan.tasks[digest])
    for node, tasks in nodes.items():
        asked = [task.resources for task in tasks]
        each = _span([one.expected_hours for one in asked])
        gpu, memory = max(plan.costs[task.digest].gpu_gb for task in tasks), max(one.memory_gb or 0 for one in asked)
        shown.add_row(node, str(len(tasks)), each, amounts.duration(hours(tasks).gpus), f"{gpu:.0f}", f"{memory:.0f}")
    return shown


class Hours(NamedTuple):
    """Expected hours: of all tasks, of GPUs, and of the tasks without one."""

    tasks: float
    gpus: float
    without_gpu: float


def hours(tasks: Iterable[Task]) -> Hours:
    """The expected hours of tasks, added up."""
    asked = [task.resources for task in tasks]
    return Hours(
        sum(one.expected_hours for one in asked),
        sum(one.expected_hours * one.gpus for one in asked),
        sum(one.expected_hours for one in asked if not one.gpus),
    )


def _span(values: list[float]) -> str:
    low, high = amounts.duration(min(values)), amounts.duration(max(values))
    return low if low == high else f"{low} to {high}"


def unknown(plan: Plan, todo: Iterable[str]) -> list[str]:
    """A line for each node whose tasks on GPUs have no computed hours, and why."""
    missing: dict[tuple[str, str], int] = {}
    for digest in todo:
        task, fact = plan.tasks[digest], plan.costs[digest].unknown
        if task.resources.gpus and fact:
            missing[task.node, fact] = missing.get((task.node, fact), 0) + 1
    return [
        f"{node}: hours of {counted(count, 'task')} are not computed, because `{fact}` is not known (`facts:` of a "
        "node)"
        for (node, fact), count in missing.items()
    ]


def room(sweep: Sweep, todo: Iterable[str]) -> tuple[disk.Disk, Left]:
    """The disk that the tasks to do need, and what is left for them."""
    at_once = sweep.site.array_parallelism if sweep.site else local.cores()
    quota_gb = sweep.site.disk_quota_gb if sweep.site else None
    return disk.needed(sweep.plan, todo, at_once), quota.left(sweep.root, quota_gb)


def disk_lines(sweep: Sweep, todo: list[str]) -> list[str]:
    """Disk at the peak and at the end, what is left, and what to do if that is too little."""
    need, left = room(sweep, todo)
    parts = {"results": need.results, "weights that stay": need.kept, "weights until they are dropped": need.dropped}
    parts["checkpoints and blocks of running tasks"] = need.scratch
    shown = ", ".join(f"{name} {amounts.size(gb)}" for name, gb in parts.items() if gb >= 0.05)
    return [
        f"{disk_needed(need)}{f' ({shown})' if shown else ''}; {left.gb:.0f} GB {left.where}",
        *(f"[yellow]{line}[/]" for line in shortage(sweep, need, left)),
    ]


def disk_here(sweep: Sweep, done: set[str]) -> list[str]:
    """The disk that tasks on this machine will take; on a cluster it was said with the question."""
    todo = [digest for digest in sweep.plan.tasks if digest not in done]
    return [] if sweep.site or not todo else disk_lines(sweep, todo)


def disk_needed(need: disk.Disk) -> str:
    """What `plan` and `doctor` say of a sweep's disk: what is computed, and room for the rest."""
    peak, least, end = map(amounts.size, (need.peak, need.least, need.end))
    computed = f"{peak} at the peak, {least} at least, {end} at the end"
    return f"disk: {computed}, and up to {MARGIN_GB:.0f} GB for scores, logs, snapshots and reports"


def shortage(sweep: Sweep, need: disk.Disk, left: Left) -> list[str]:
    """What too little disk means; empty if it is enough. `doctor` goes by the same sums."""
    least = need.least + MARGIN_GB
    if least > left.gb:
        return [f"the disk is too small: {amounts.size(least)} are needed at least; {remedy(sweep.plan, need)}"]
    if need.peak + MARGIN_GB > left.gb:
        return [f"tasks that write weights start as the disk has room; {remedy(sweep.plan, need)}"]
    return []


def remedy(plan: Plan, need: disk.Disk) -> str:
    """How a sweep can do with less disk."""
    keys = ("checkpoint_steps", "checkpoint_minutes")
    written = sorted(
        {f"{task.node}.config.{key}" for task in plan.tasks.values() for key in keys if task.config.get(key)}
    )
    ways = ["set OUTPUTS=<a folder elsewhere>", *(["SET=keep_weights=false"] if need.kept else [])]
    ways += [f"SET=nodes.{key}=0" for key in written if need.scratch]
    ways.append("lower array_parallelism in the cluster file" if need.scratch else "")
    return ", or ".join(filter(None, [*ways, "run fewer settings at a time"]))


def dropped(root: Path, plan: Plan, done: set[str]) -> list[str]:
    """What was dropped, and what must run again for it."""
    records = [weights.read(finished.directory(root, plan.tasks[digest])) for digest in plan.droppable() & done]
    sizes = [record["bytes"] for record in records if record]
    again = finished.again(root, plan, done)
    lines = [
        f"weights of {counted(len(sizes), 'model')} were dropped ({sum(sizes) / 1e9:.1f} GB); what was made with them "
        "stays valid"
    ]
    return (lines if sizes else []) + list(repeated(plan, again))


def repeated(plan: Plan, again: list[str]) -> Iterable[str]:
    """A line that says which tasks run again, and for what."""
    if again:
        readers = plan.readers()
        stages = sorted({plan.tasks[reader].stage for digest in again for reader in readers[digest]})
        own = sorted({plan.tasks[digest].stage for digest in again})
        yield (
            f"[yellow]{counted(len(again), 'task')} ({', '.join(own)}) will run again because their weights were "
            f"dropped[/]: {', '.join(stages)} of this sweep read them (keep_weights=true keeps weights)"
        )
