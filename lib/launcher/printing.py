"""What the launcher's commands print: tables of a plan and of a status, failures, batch scripts."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lib.base import places
from lib.base.errors import UsageError
from lib.plans import rates
from lib.plans.plan import Plan
from lib.running import local, slurm, snapshot, submit, survey
from lib.running.site import Cluster
from lib.running.survey import DONE, FAILED, STATES, Survey

SHOWN = 10  # failed tasks that are listed before the rest is counted


def headline(graph: Plan, site: Cluster | None) -> str:
    place = (
        f"SLURM, cluster '{site.name}'"
        if site
        else f"this machine, {local.cores()} cores (no SLURM found, or CLUSTER=local)"
    )
    return f"[bold]{graph.name}[/]: {graph.title}\nprofile '{graph.profile}' on {place}; {len(graph.tasks)} tasks"


def plan_table(graph: Plan, finished_tasks: set[str]) -> Table:
    table = Table("stage", *[_right(name) for name in ("tasks", "done", "to do", "expected hours", "GPU hours")])
    rows: dict[str, list[float]] = {}
    for digest, task in graph.tasks.items():
        row = rows.setdefault(task.stage, [0, 0, 0, 0.0, 0.0])
        todo = digest not in finished_tasks
        hours = task.resources.expected_hours * todo
        for column, value in enumerate((1, not todo, todo, hours, hours * task.resources.gpus)):
            row[column] += value
    rows["all"] = [sum(column) for column in zip(*rows.values())]
    for stage, (tasks, done, todo, hours, gpu_hours) in rows.items():
        table.add_row(stage, f"{tasks:.0f}", f"{done:.0f}", f"{todo:.0f}", f"{hours:.2f}", f"{gpu_hours:.1f}")
    return table


def parts_table(graph: Plan) -> Table:
    """The sweeps of a sweep of sweeps, and what each has of those above it."""
    table = Table("sweep", *[_right(name) for name in ("results", "tasks", "shared with those above")])
    above: set[str] = set()
    for part in graph.parts:
        table.add_row(part.name, str(len(part.leaves)), str(len(part.tasks)), str(len(above & set(part.tasks))))
        above |= set(part.tasks)
    return table


def rates_table(graph: Plan) -> Table:
    """Hours and memory of the passes over a corpus, computed from measured rates."""
    columns = ("tasks", "tokens a task", "ranks a task", "core ns/token", "hours a task", "GB a rank")
    table = Table("stage", *map(_right, columns), title=f"computed from rates measured on {rates.MEASURED_ON}")
    rows = Counter((task.stage, task.resources) for task in graph.tasks.values() if task.stage in rates.RATES)
    for (stage, asked), tasks in rows.items():
        if asked.tokens:
            table.add_row(
                stage, str(tasks), f"{asked.tokens:.3g}", str(asked.ranks), f"{rates.RATES[stage].core_ns:g}",
                f"{asked.expected_hours:.2g}", f"{asked.memory_gb:.1f}",
            )  # fmt: skip
    return table


def print_power(graph: Plan, console: Console) -> None:
    """What difference in rho the canaries and seeds of a sweep can show (see lib.statistics.power)."""
    import pandas as pd

    from lib.statistics import power
    from lib.studies.mosaic import published

    aucs = pd.read_csv(published.AUCS)
    for (seeds, copies, sizes), sweeps in _scales(graph).items():
        typical = power.typical(aucs, copies)
        table = Table("canaries", *map(_right, ("seeds", "at rho", "AUC", "error of it", "same canaries", "others")))
        table.title = f"{', '.join(sweeps)}: the least difference in rho that is found"
        for canaries in sizes:
            for found in power.detectable(canaries, canaries, seeds, typical):
                cells = (found.auc, found.auc_error, found.same_canaries, found.other_canaries)
                table.add_row(str(canaries), str(seeds), f"{found.rho:g}", *(f"{value:.3f}" for value in cells))
        console.print(table)
        console.print(
            f"two-sided test at {power.LEVEL:.0%}, power {power.POWER:.0%}; error of an AUC by Hanley and McNeil; AUCs "
            f"over the same canaries correlate by {typical.correlation:.2f} and the exact curve runs from "
            f"{typical.auc[0]:.2f} to {typical.auc[-1]:.2f}, as the published ones of the ratio attack do"
        )


def _scales(graph: Plan) -> dict[tuple[int, tuple[int, ...], tuple[int, ...]], list[str]]:
    """How many seeds, which exact copies, which numbers of canaries -> the sweeps of that scale that have a curve."""
    found: dict[tuple[int, tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for part in graph.parts or (graph,):
        copies = sorted({leaf.labels["level"] for leaf in part.leaves if leaf.labels.get("kind") == "exact"})
        sizes = {task.config["n"] for task in part.tasks.values() if task.stage == "canaries"}
        if len(copies) > 1 and copies[0] == 1:
            seeds = len({leaf.labels["seed"] for leaf in part.leaves})
            found.setdefault((seeds, tuple(copies), tuple(sorted(sizes))), []).append(part.name)
    if not found:
        raise UsageError(f"--power: {graph.name} has no curve of exact copies from 1 on that rho could be read off")
    return found


def status_table(graph: Plan, found: Survey) -> Table:
    table = Table("stage", *[_right(state) for state in STATES])
    for stage, counts in survey.count_by_stage(graph, found.states).items():
        table.add_row(stage, *[str(counts[state] or "") for state in STATES])
    return table


def _right(name: str):
    from rich.table import Column

    return Column(name, justify="right")


def print_failures(root: Path, graph: Plan, found: Survey, console: Console) -> None:
    failed = found.having(FAILED)
    for digest in failed[:SHOWN]:
        task = graph.tasks[digest]
        error, log = survey.last_error(root, task)
        console.print(
            f"failed: {task.stage} {task.label} {digest}: {error}\n        {log}", highlight=False, markup=False
        )
    if len(failed) > SHOWN:
        console.print(f"... and {len(failed) - SHOWN} more failed")


def print_scripts(graph: Plan, site: Cluster | None, root: Path, finished_tasks: set[str], console: Console) -> None:
    if site is None:
        raise UsageError("--scripts: there are batch scripts only for a cluster; give --cluster")
    found = Survey({digest: DONE if digest in finished_tasks else survey.WAITING for digest in graph.tasks})
    arrays = list(submit.arrays("PLAN", site, list(survey.ready(graph, found)), 0))
    for array in arrays:
        share = site.array_parallelism // len(arrays)
        parameters = slurm.parameters(site, array.resources, array.name, str(snapshot.target(root)), share)
        folder = places.submit_logs(root, graph.name, "PLAN")
        console.print(slurm.script(folder, parameters, len(array.digests)), highlight=False, markup=False)
