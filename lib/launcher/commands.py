"""What each command of the launcher does."""

import json
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lib.base import places
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.launcher.printing import (
    SHOWN,
    headline,
    parts_table,
    plan_table,
    print_failures,
    print_power,
    print_scripts,
    rates_table,
    status_table,
)
from lib.plans import documents, expansion, finished
from lib.plans.plan import Plan
from lib.running import local, slurm, submissions, survey
from lib.running import site as clusters
from lib.running import submit as submission
from lib.running.site import Cluster
from lib.running.survey import DONE, FAILED, UNKNOWN, Survey


def plan(arguments: Namespace, console: Console) -> int:
    """Print tasks per stage, what is done, expected hours and, on request, the batch scripts."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    finished_tasks = finished.done(root, graph)
    console.print(headline(graph, site))
    console.print(plan_table(graph, finished_tasks))
    if graph.parts:
        console.print(parts_table(graph))
    if any(task.resources.tokens for task in graph.tasks.values()):
        console.print(rates_table(graph))
    if arguments.power:
        print_power(graph, console)
    if arguments.scripts:
        print_scripts(graph, site, root, finished_tasks, console)
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
        console.print(headline(graph, site))
        if not arguments.no_fetch:
            graph = _fetch(arguments, graph, site, console)
        console.print(plan_table(graph, finished.done(root, graph)))
    return _submit_cluster(arguments, graph, site, console) if site else _run_here(arguments, graph, console)


def status(arguments: Namespace, console: Console) -> int:
    """Print the state of every stage; works with SLURM down, and says so."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    found = _survey(root, graph, site)
    console.print(headline(graph, site))
    console.print(status_table(graph, found))
    if found.trouble:
        trouble = escape(found.trouble)
        console.print(f"[yellow]{trouble}[/]: queued and running tasks cannot be told apart from failed ones")
    print_failures(root, graph, found, console)
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
    from lib.studies import overview

    console.print(f"report   {overview.write(arguments.outputs.resolve())}", highlight=False)
    return 0


def demo(arguments: Namespace, console: Console) -> int:
    """Write tables, figures and report of the published AUCs."""
    from lib.studies.mosaic import demo as published

    console.print(f"report   {published.run(arguments.outputs.resolve())}", highlight=False)
    return 0


def cancel(arguments: Namespace, console: Console) -> int:
    """End what runs or waits of a sweep."""
    site, root = clusters.load(arguments.cluster), arguments.outputs.resolve()
    graph = _plan(arguments, site)
    if site is None:
        console.print(local.cancel(root, graph.name))
        return 0
    submits = [submit for _, submit in submissions.all_of(root, graph.name)]
    ours = {name for one in submits for name in (one.controller, *(array.name for array in one.arrays))}
    jobs = {job for (name, _), (job, _) in slurm.queue().items() if name in ours}
    slurm.cancel(jobs)
    console.print(f"cancelled {len(jobs)} jobs" if jobs else "nothing runs or waits")
    return 0


def doctor(arguments: Namespace, console: Console) -> int:
    """Check what a run needs and say how to mend it."""
    from lib.launcher import doctor as checks

    site = clusters.load(arguments.cluster)
    graph = _plan(arguments, site) if arguments.sweep else None
    return checks.run(site, graph, arguments.outputs.resolve(), console)


def _plan(arguments: Namespace, site: Cluster | None) -> Plan:
    profile = arguments.profile or ("paper" if site else "laptop")
    document = documents.read(arguments.sweep, profile, arguments.settings)
    graph = expansion.expand(document, profile, _pins(arguments.outputs))
    if site:
        for task in graph.tasks.values():
            clusters.check(task.resources, site, f"node {task.node}")
    return graph


def _pins(outputs: Path) -> dict[str, str]:
    file = places.hub_lock(outputs.resolve())
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
    from lib.launcher import hub_needs

    pins = hub_needs.run(graph, places.hub_lock(arguments.outputs.resolve()), console)
    return _plan(arguments, site) if pins else graph


def _collect(root: Path, graph: Plan, console: Console, partial: bool = False) -> int:
    from lib.studies import collect as collection

    finished_tasks = finished.done(root, graph)
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
        submitted = {d for _, s in submissions.all_of(root, graph.name) for a in s.arrays for d in a.digests}
        for digest in submitted:
            if found.states.get(digest, DONE) != DONE:
                found.states[digest] = UNKNOWN
        found.trouble = str(error)
        return found
