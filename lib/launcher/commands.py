"""The commands of the launcher: each function takes the command line's arguments and returns the exit code."""

import contextlib
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.markup import escape

from lib.artifacts import damage
from lib.base import lease, places, processes
from lib.base.errors import Damaged, TesseraError, UsageError, counted, suggestion, verb
from lib.base.interrupts import Interrupted
from lib.launcher import catalogue, confirm, costs, licences, notices, package_needs, printing, scripts, times
from lib.launcher import completion as completions
from lib.launcher import doctor as checks
from lib.launcher.sweep import Sweep, collect_command, fetch_command, load, shown_command, submit_command
from lib.plans import finished, runs
from lib.running import container, controllers, drops, ending, gpus, local, login_node, snapshot, submissions, survey
from lib.running import site as clusters
from lib.running import submit as submission
from lib.running.site import Cluster
from lib.running.survey import DONE, FAILED, UNKNOWN, Survey
from lib.studies import collect as collection


def plan(arguments: Namespace, console: Console) -> int:
    """Print tasks per stage, what is done, expected hours and, on request, the batch scripts."""
    sweep = load(arguments)
    cluster = scripts.needed(sweep.site) if arguments.scripts else None  # what cannot be given is said first
    scales = printing.scales(sweep.plan) if arguments.power else {}
    done = sweep.done()
    printing.print_plan(sweep.plan, sweep.site, done, console)
    costs.show(sweep, done, console)
    known = [*times.expected(sweep, done), *finished.spoilt(sweep.root, sweep.plan, done)]
    for line in (*known, *licences.lines(sweep.plan, done)):
        console.print(line, highlight=False)
    for said in package_needs.missing(sweep.plan, done).values():
        console.print(f"[yellow]{escape(said)}[/]", highlight=False)
    if scales:
        printing.print_power(scales, console)
    if cluster:
        scripts.show(sweep.plan, cluster, sweep.root, done, console)
    return 0


def fetch(arguments: Namespace, console: Console) -> int:
    """Bring the sweep's hub models and data sets into the cache."""
    _fetch(arguments, load(arguments), console)
    return 0


def submit(arguments: Namespace, console: Console) -> int:
    """Run, or submit, what is not done; collect the tables if everything is. What is then found damaged is made again.

    Raises TesseraError if the files of an artifact are damaged again and again.
    """
    try:
        sweep = _prepared(arguments, console)
    except Interrupted:
        _say_to_user(arguments, "no task was started or submitted")
        raise
    try:
        return notices.told(arguments, sweep, lambda: _run(arguments, sweep, console))
    except Interrupted:
        if sweep.site:
            jobs = submissions.jobs_of_campaign(sweep.root, sweep.plan.run, arguments.campaign)
            _say_to_user(arguments, printing.left_queued(jobs, shown_command(arguments, sweep.plan, "cancel")))
        raise


def _say_to_user(arguments: Namespace, words: str) -> None:
    """Say something to whoever has interrupted a command; the terminal may be gone by then."""
    if not arguments.controller:
        with contextlib.suppress(OSError):
            print(words, file=sys.stderr, flush=True)


def _run(arguments: Namespace, sweep: Sweep, console: Console) -> int:
    while True:
        try:
            if sweep.site:
                return _submit_to_slurm(arguments, sweep, sweep.site, console)
            return _run_here(arguments, sweep, console)
        except Damaged as error:  # at most damage.MOST times an artifact
            _mend(error)
            console.print(f"{error}; it is made again", highlight=False, markup=False)


def _prepared(arguments: Namespace, console: Console) -> Sweep:
    """The sweep, after all that comes before its first task. A controller prints nothing, asks and fetches nothing."""
    from lib.launcher import hub_needs  # imports huggingface_hub

    sweep = load(arguments)
    if arguments.controller and sweep.site is None:
        raise TesseraError(
            "the controller finds no SLURM on its node; set `partition` in the cluster file to nodes with sbatch"
        )
    if sweep.site is None:
        lease.check_free(places.lock(sweep.root, sweep.plan.run))  # before all that is said of a run
    if not arguments.controller:
        console.print(printing.headline(sweep.plan, sweep.site))
        if sweep.site is None and (asking := [task for task in sweep.plan.tasks.values() if task.resources.gpus]):
            done = sweep.done()
            gpus.check(task for task in asking if task.digest not in done)
        package_needs.check(sweep.plan, sweep.done())
        if sweep.site:
            _check_image(sweep.site)
        if sweep.site and not arguments.yes:
            confirm.ask(sweep, console)
        sweep = sweep if arguments.no_fetch else _fetch(arguments, sweep, console)
    done = sweep.done()
    if not arguments.controller:
        console.print(printing.plan_table(sweep.plan, done))
        said = (costs.dropped(sweep.root, sweep.plan, done), finished.spoilt(sweep.root, sweep.plan, done))
        for line in (*times.expected(sweep, done), *costs.disk_here(sweep, done), *said[0], *said[1]):
            console.print(line, highlight=False)
        printing.print_foreseen(sweep.plan, console)
    hub_needs.check(sweep.plan, done, fetch_command(arguments, sweep))
    return sweep


def _check_image(site: Cluster) -> None:
    """Raise TesseraError if the image that tasks run in is not there: each of them would fail."""
    if site.container and (missing := container.missing(site.container)):
        raise TesseraError(
            f"{missing}; nothing was submitted. Make it (make image IMAGE={site.container.image}), or correct "
            f"`container` in {clusters.where(site)}"
        )


def _mend(damaged: Damaged) -> None:
    """Move what is damaged aside. Raises `damaged` if it belongs to no artifact, so that nothing makes it again."""
    if not damage.mend(damaged):
        raise damaged


def status(arguments: Namespace, console: Console) -> int:
    """Print the state of every stage. It also works if SLURM does not answer, and says so.

    Returns 1 if a task has failed and no controller tries it again, if sbatch has refused one, or if it is not known
    what became of it.
    """
    sweep = load(arguments)
    found = sweep.survey()
    retried = survey.retried(sweep.root, sweep.plan, found)
    if arguments.json:
        data = printing.status_data(sweep.root, sweep.plan, found, retried)
        console.print(json.dumps(data, indent=1), highlight=False, markup=False)
    else:
        _print_status(sweep, found, retried, console)
    return int(bool(found.refused or found.having(UNKNOWN) or set(found.having(FAILED)) - retried.keys()))


def _print_status(sweep: Sweep, found: Survey, retried: Mapping[str, str], console: Console) -> None:
    printing.print_status(sweep.plan, sweep.site, found, console)
    for line in times.running(sweep.root, sweep.plan, found):
        console.print(line, highlight=False, markup=False)
    for line in finished.spoilt(sweep.root, sweep.plan, set(found.having(DONE))):
        console.print(line, highlight=False)
    printing.print_failures(sweep.root, sweep.plan, found, retried, console)
    printing.print_other_runs(sweep.root, sweep.plan, console)


def logs(arguments: Namespace, console: Console) -> int:
    """Print the last lines of the logs of failed tasks, or of a stage's tasks."""
    sweep = load(arguments)
    states = sweep.survey()
    tasks = [sweep.plan.tasks[digest] for digest in _chosen(sweep, states, arguments.stage)]
    found = [log for task in tasks if (log := survey.last_error(sweep.root, task)[1])]
    if not found:
        console.print("no log yet" if arguments.stage else "no failed task has a log")
    printing.print_refusals(states, console)
    printing.print_logs(found[-printing.SHOWN :], arguments.lines, console)
    return 0


def _chosen(sweep: Sweep, states: Survey, stage: str | None) -> list[str]:
    """The digests of a stage's tasks; without a stage, of the failed tasks."""
    if not stage:
        return states.having(FAILED)
    chosen = [digest for digest, task in sweep.plan.tasks.items() if task.stage == stage]
    if not chosen:
        raise UsageError(f"no stage '{stage}'{suggestion(stage, {task.stage for task in sweep.plan.tasks.values()})}")
    return chosen


def collect(arguments: Namespace, console: Console) -> int:
    """Write tables, figures and report from finished artifacts."""
    try:
        return _collect(load(arguments), console, arguments.partial)
    except Damaged as error:
        _mend(error)
        raise TesseraError(f"{error}; run the sweep again, which makes it again") from error


def report(arguments: Namespace, console: Console) -> int:
    """Write one report over all collected sweeps."""
    from lib.studies import overview

    console.print(f"report   {overview.write(arguments.outputs.resolve(), arguments.runs)}", highlight=False)
    return 0


def demo(arguments: Namespace, console: Console) -> int:
    """Write tables, figures and report of the published AUCs."""
    from lib.studies.mosaic import demo as published

    console.print(f"report   {published.run(arguments.outputs.resolve())}", highlight=False)
    return 0


def trace(arguments: Namespace, console: Console) -> int:
    """Print where a text, or the texts of a file, stand in a corpus; or serve a page that does."""
    from lib.studies.trace import asked

    return asked.run(arguments, console)


def cancel(arguments: Namespace, console: Console) -> int:
    """End the running and waiting tasks of a sweep."""
    sweep = load(arguments)
    printing.print_other_runs(sweep.root, sweep.plan, console)
    if sweep.site is None:
        console.print(ending.cancel(sweep.root, sweep.plan.run), highlight=False)
        return int(printing.print_unasked(survey.without_slurm(sweep.root, sweep.plan), console))
    if ending.is_held_here(sweep.root, sweep.plan.run):
        console.print(ending.cancel(sweep.root, sweep.plan.run), highlight=False)
    console.print(printing.cancelled(ending.cancel_jobs(sweep.root, sweep.plan.run)), highlight=False)
    if held := ending.held_elsewhere(sweep.root, sweep.plan.run):
        console.print(f"[yellow]{held}[/]", highlight=False)
    return 0


def doctor(arguments: Namespace, console: Console) -> int:
    """Check what a run needs, and print what to do about the rest."""
    sweep = load(arguments) if arguments.sweep else None
    site = sweep.site if sweep else clusters.load(arguments.cluster, arguments.quiet)
    return checks.run(site, sweep, arguments.outputs.resolve(), console)


def sweeps(arguments: Namespace, console: Console) -> int:
    """List the sweeps."""
    catalogue.print_sweeps(console)
    return 0


def vars(arguments: Namespace, console: Console) -> int:
    """List the variables of a sweep."""
    catalogue.print_variables(arguments.sweep, console)
    return 0


def completion(arguments: Namespace, console: Console) -> int:
    """Print a script that completes commands in a shell."""
    console.print(completions.script(arguments.parser, arguments.shell), highlight=False, markup=False)
    return 0


def _submit_to_slurm(arguments: Namespace, sweep: Sweep, site: Cluster, console: Console) -> int:
    request = submission.Request(
        root=sweep.root,
        command=submit_command(arguments, sweep.plan.profile),
        campaign=arguments.campaign,
        controller=arguments.controller,
        force=arguments.force,
        max_failures=arguments.max_failures or controllers.MAX_FAILURES,
    )
    if not arguments.controller:
        login_node.run(sweep.root, sweep.plan, site, request, console)
    outcome = submission.run(request, sweep.plan, site, _outcome_printer(arguments, sweep, console))
    if outcome.done < outcome.total:
        return 0
    _print_times(arguments, sweep, console)
    return _collect(sweep, console)


def _outcome_printer(arguments: Namespace, sweep: Sweep, console: Console) -> Callable[[submission.Outcome], None]:
    if arguments.controller:  # nobody reads it who could type something
        return printing.outcome_printer(console)
    watch, end = (shown_command(arguments, sweep.plan, verb) for verb in ("status", "cancel"))
    return printing.outcome_printer(console, watch, end)


def _run_here(arguments: Namespace, sweep: Sweep, console: Console) -> int:
    command = submit_command(arguments, sweep.plan.profile)
    code = snapshot.target(sweep.root)
    failed = local.run(sweep.root, sweep.plan, arguments.campaign, command, arguments.max_failures or 1, console)
    _print_times(arguments, sweep, console)
    if failed:
        missing = len(sweep.plan.tasks) - len(sweep.done())
        first, error = next(iter(failed.items()))
        raise TesseraError(
            f"{counted(len(failed), 'task')} failed, {missing} {verb(missing, 'are')} missing; the first: {first}: "
            f"{error}; see `logs`"
        )
    if code.exists() and code != snapshot.target(sweep.root):
        console.print("the code was edited meanwhile; the code that ran makes the tables")
        line = [sys.executable, "launch.py", *collect_command(arguments, sweep.plan.profile)]
        return processes.run_alone(line, os.environ, cwd=code)
    return _collect(sweep, console)


def _print_times(arguments: Namespace, sweep: Sweep, console: Console) -> None:
    for line in times.took(sweep.root, sweep.plan, arguments.campaign):
        console.print(line, highlight=False)


def _fetch(arguments: Namespace, sweep: Sweep, console: Console) -> Sweep:
    """Bring the sweep's hub models and data into the cache. Returns the sweep with branches pinned to commits."""
    from lib.launcher import hub_needs

    done = sweep.done()
    for line in licences.lines(sweep.plan, done):
        console.print(line, highlight=False)
    try:
        pinned = hub_needs.run(sweep.plan, done, places.hub_lock(sweep.root), console)
    except TesseraError as error:
        if sweep.site and sweep.site.network_partition:
            where = f"\nif this node has no network: {fetch_command(arguments, sweep)}"
            raise TesseraError(f"{error}{where}") from error
        raise
    return load(arguments) if pinned else sweep


def _collect(sweep: Sweep, console: Console, partial: bool = False) -> int:
    done = sweep.done()
    missing = [task for digest, task in sweep.plan.tasks.items() if digest not in done]
    if missing and not partial:
        printing.print_missing(missing, console)
        total = len(sweep.plan.tasks)
        command = runs.command(sweep.plan.name, sweep.plan.profile, sweep.plan.settings)
        raise TesseraError(
            f"{len(missing)} of {counted(total, 'task')} {verb(len(missing), 'are')} missing; type `{command}` to run "
            "them, or collect what there is with --partial (FLAGS=--partial of make)"
        )
    if missing:
        printing.print_missing(missing, console)
        share = f"{len(missing)} of {counted(len(sweep.plan.tasks), 'task')} {verb(len(missing), 'are')} missing"
        console.print(f"{share}: tables and report are partial", highlight=False)
    collection.run(sweep.root, sweep.plan, console)
    _drop_weights(sweep, console)
    return 1 if missing else 0


def _drop_weights(sweep: Sweep, console: Console) -> None:
    """Drop weights that nobody needs any more. The tables stand, whether that can be told or not."""
    try:
        printing.print_drops(drops.of_plan(sweep.root, sweep.plan), console)
    except Damaged as error:  # a submit file, of whatever sweep
        console.print(f"no weights are dropped: {error}; move it away", highlight=False, markup=False)
