"""What each command of the launcher does."""

import json
from argparse import Namespace
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lib import cluster as clusters
from lib import freeze, local, names, rates, slurm, snapshot, survey, sweep
from lib import submit as submission
from lib.cluster import Cluster
from lib.errors import TesseraError, UsageError, suggestion
from lib.survey import DONE, FAILED, STATES, UNKNOWN, Survey
from lib.sweep import Plan

SHOWN = 10  # failed tasks that are listed before the rest is counted


def plan(arguments: Namespace, console: Console) -> int:
    """Print tasks per stage, what is done, expected hours and, on request, the batch scripts."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    finished_tasks = survey.done(root, graph)
    console.print(_headline(graph, site))
    console.print(_plan_table(graph, finished_tasks))
    if graph.parts:
        console.print(_parts_table(graph))
    if any(task.resources.tokens for task in graph.tasks.values()):
        console.print(_rates_table(graph))
    if arguments.power:
        _print_power(graph, console)
    if arguments.scripts:
        _print_scripts(graph, site, root, finished_tasks, console)
    return 0


def fetch(arguments: Namespace, console: Console) -> int:
    """Bring the sweep's hub models and data sets into the cache."""
    site = clusters.load(arguments.cluster)
    _fetch(arguments, _plan(arguments, site), site, console)
    return 0


def submit(arguments: Namespace, console: Console) -> int:
    """Run, or submit, whatever is missing; collect when nothing is."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    if arguments.controller and site is None:
        raise TesseraError(
            "a controller finds no SLURM on its node; let it run where sbatch is (partition of the file)"
        )
    if not arguments.controller:
        console.print(_headline(graph, site))
        if not arguments.no_fetch:
            graph = _fetch(arguments, graph, site, console)
        console.print(_plan_table(graph, survey.done(root, graph)))
    return _submit_cluster(arguments, graph, site, console) if site else _run_here(arguments, graph, console)


def status(arguments: Namespace, console: Console) -> int:
    """Print the state of every stage; works with SLURM down, and says so."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    found = _survey(root, graph, site)
    console.print(_headline(graph, site))
    console.print(_status_table(graph, found))
    if found.trouble:
        trouble = escape(found.trouble)
        console.print(f"[yellow]{trouble}[/]: queued and running tasks cannot be told apart from failed ones")
    _print_failures(root, graph, found, console)
    return 0 if found.all_done() else 1


def logs(arguments: Namespace, console: Console) -> int:
    """Print the last lines of the logs of failed tasks, or of a stage's last task."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    if arguments.stage:
        chosen = [d for d, task in graph.tasks.items() if task.stage == arguments.stage]
        if not chosen:
            stages = {task.stage for task in graph.tasks.values()}
            raise UsageError(f"no stage '{arguments.stage}'{suggestion(arguments.stage, stages)}")
    else:
        chosen = _survey(root, graph, site).having(FAILED)
    found = [log for digest in chosen if (log := survey.last_error(root, graph.tasks[digest])[1])]
    for log in found[-SHOWN:]:
        console.print(f"[bold]{log}[/]", highlight=False)
        lines = log.read_text(errors="replace").splitlines()[-arguments.lines :]
        console.print("\n".join(lines), highlight=False, markup=False)
    if not found:
        console.print("no failed task has a log" if not arguments.stage else "no log yet")
    return 0


def collect(arguments: Namespace, console: Console) -> int:
    """Write tables, figures and report from finished artifacts."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    return _collect(root, _plan(arguments, site), console, arguments.partial)


def report(arguments: Namespace, console: Console) -> int:
    """Write one report over all sweeps that are collected."""
    from lib import overview

    console.print(f"report   {overview.write(arguments.outputs.resolve())}", highlight=False)
    return 0


def cancel(arguments: Namespace, console: Console) -> int:
    """End what runs or waits of a sweep."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    if site is None:
        console.print(local.cancel(root, graph.name))
        return 0
    ours = {name for _, s in freeze.all_of(root, graph.name) for name in (s.controller, *(a.name for a in s.arrays))}
    jobs = {job for (name, _), (job, _) in slurm.queue().items() if name in ours}
    slurm.cancel(jobs)
    console.print(f"cancelled {len(jobs)} jobs" if jobs else "nothing runs or waits")
    return 0


def doctor(arguments: Namespace, console: Console) -> int:
    """Check what a run needs and say how to mend it."""
    from lib import doctor as checks

    site = clusters.load(arguments.cluster)
    graph = _plan(arguments, site) if arguments.sweep else None
    return checks.run(site, graph, arguments.outputs.resolve(), console)


def _plan(arguments: Namespace, site: Cluster | None) -> Plan:
    profile = arguments.profile or ("paper" if site else "laptop")
    document = sweep.read(arguments.sweep, profile, arguments.settings)
    graph = sweep.expand(document, profile, _pins(arguments.outputs))
    if site:
        for task in graph.tasks.values():
            clusters.check(task.resources, site, f"node {task.node}")
    return graph


def _pins(outputs: Path) -> dict[str, str]:
    file = names.hub_lock(outputs.resolve())
    return json.loads(file.read_text()) if file.exists() else {}


def _command(arguments: Namespace, graph: Plan) -> list[str]:
    """The launcher's arguments that a controller repeats; nothing is left to what is found where it runs."""
    line = ["submit", arguments.sweep, f"--outputs={arguments.outputs.resolve()}", "--no-fetch"]
    line += [f"--set={setting}" for setting in arguments.settings]
    line += [f"--profile={graph.profile}"]
    if arguments.cluster:
        file = Path(arguments.cluster)
        line.append(f"--cluster={file.resolve() if file.suffix else arguments.cluster}")
    return line + ([f"--max-failures={arguments.max_failures}"] if arguments.max_failures else [])


def _submit_cluster(arguments: Namespace, graph: Plan, site: Cluster, console: Console) -> int:
    root = arguments.outputs.resolve()
    request = submission.Request(
        root, _command(arguments, graph), arguments.campaign, arguments.controller, arguments.force,
        arguments.max_failures or 3,
    )  # fmt: skip
    outcome = submission.wave(request, graph, site)
    if outcome.done == outcome.total:
        return _collect(root, graph, console)
    console.print(
        f"{outcome.done} of {outcome.total} tasks done, {outcome.live} were running or queued, "
        f"{outcome.submitted} submitted now; a controller job submits the rest as inputs finish"
    )
    return 0


def _run_here(arguments: Namespace, graph: Plan, console: Console) -> int:
    root = arguments.outputs.resolve()
    hopeless = local.run(
        root, graph, arguments.campaign, _command(arguments, graph), arguments.max_failures or 1, console
    )
    if not hopeless:
        return _collect(root, graph, console)
    found = survey.local(root, graph)
    console.print(f"[red]{len(hopeless)} tasks failed[/], {len(found.states) - len(found.having(DONE))} are missing")
    return 1


def _fetch(arguments: Namespace, graph: Plan, site: Cluster | None, console: Console) -> Plan:
    """Bring the sweep's hub models and data into the cache, branch names pinned to commits."""
    from lib import fetching

    pins = fetching.run(graph, names.hub_lock(arguments.outputs.resolve()), console)
    return _plan(arguments, site) if pins else graph


def _collect(root: Path, graph: Plan, console: Console, partial: bool = False) -> int:
    from lib import collect as collection

    finished_tasks = survey.done(root, graph)
    missing = [digest for digest in graph.tasks if digest not in finished_tasks]
    if missing and not partial:
        for digest in missing[:SHOWN]:
            task = graph.tasks[digest]
            console.print(f"missing: {task.stage} {task.label} {digest}", highlight=False)
        raise TesseraError(f"{len(missing)} of {len(graph.tasks)} tasks are missing; submit again, or give --partial")
    collection.run(root, graph, console)
    return 1 if missing else 0


def _survey(root: Path, graph: Plan, site: Cluster | None) -> Survey:
    if site is None:
        return survey.local(root, graph)
    try:
        return survey.cluster(root, graph)
    except slurm.SchedulerUnavailable as error:
        found = survey.local(root, graph)
        submitted = {d for _, s in freeze.all_of(root, graph.name) for a in s.arrays for d in a.digests}
        for digest in submitted:
            if found.states.get(digest, DONE) != DONE:
                found.states[digest] = UNKNOWN
        found.trouble = str(error)
        return found


def _headline(graph: Plan, site: Cluster | None) -> str:
    place = (
        f"SLURM, cluster '{site.name}'"
        if site
        else f"this machine, {local.cores()} cores (no SLURM found, or CLUSTER=local)"
    )
    return f"[bold]{graph.name}[/]: {graph.title}\nprofile '{graph.profile}' on {place}; {len(graph.tasks)} tasks"


def _plan_table(graph: Plan, finished_tasks: set[str]) -> Table:
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


def _parts_table(graph: Plan) -> Table:
    """The sweeps of a sweep of sweeps, and what each has of those above it."""
    table = Table("sweep", *[_right(name) for name in ("results", "tasks", "shared with those above")])
    above: set[str] = set()
    for part in graph.parts:
        table.add_row(part.name, str(len(part.leaves)), str(len(part.tasks)), str(len(above & set(part.tasks))))
        above |= set(part.tasks)
    return table


def _rates_table(graph: Plan) -> Table:
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


def _print_power(graph: Plan, console: Console) -> None:
    """What difference in rho the canaries and seeds of a sweep can show (see lib.power)."""
    import pandas as pd

    from lib import power, published

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


def _status_table(graph: Plan, found: Survey) -> Table:
    table = Table("stage", *[_right(state) for state in STATES])
    for stage, counts in survey.count_by_stage(graph, found.states).items():
        table.add_row(stage, *[str(counts[state] or "") for state in STATES])
    return table


def _right(name: str):
    from rich.table import Column

    return Column(name, justify="right")


def _print_failures(root: Path, graph: Plan, found: Survey, console: Console) -> None:
    failed = found.having(FAILED)
    for digest in failed[:SHOWN]:
        task = graph.tasks[digest]
        error, log = survey.last_error(root, task)
        console.print(
            f"failed: {task.stage} {task.label} {digest}: {error}\n        {log}", highlight=False, markup=False
        )
    if len(failed) > SHOWN:
        console.print(f"... and {len(failed) - SHOWN} more failed")


def _print_scripts(graph: Plan, site: Cluster | None, root: Path, finished_tasks: set[str], console: Console) -> None:
    if site is None:
        raise UsageError("--scripts: there are batch scripts only for a cluster; give --cluster")
    found = Survey({digest: DONE if digest in finished_tasks else survey.WAITING for digest in graph.tasks})
    arrays = list(submission.arrays("PLAN", site, list(survey.ready(graph, found)), 0))
    for array in arrays:
        share = site.array_parallelism // len(arrays)
        parameters = slurm.parameters(site, array.resources, array.name, str(snapshot.target(root)), share)
        folder = names.submit_logs(root, graph.name, "PLAN")
        console.print(slurm.script(folder, parameters, len(array.digests)), highlight=False, markup=False)
