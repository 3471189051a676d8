"""What the launcher's commands print: tables of a plan and of a status, failures, logs."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from lib.artifacts import attempts
from lib.base.errors import UsageError, counted, verb
from lib.base.files import last_line
from lib.launcher import amounts, costs, foreseen
from lib.plans import finished, rates
from lib.plans.plan import Plan, Task
from lib.running import local, reasons, submissions, submit, survey
from lib.running.controllers import Controller
from lib.running.drops import Outcome as Dropped
from lib.running.site import Cluster
from lib.running.survey import FAILED, STATES, Survey

SHOWN = 10  # how many tasks or logs are listed


def print_plan(plan: Plan, site: Cluster | None, finished_tasks: set[str], console: Console) -> None:
    """Print all that is known of a plan before it runs."""
    console.print(headline(plan, site))
    console.print(plan_table(plan, finished_tasks))
    print_foreseen(plan, console)
    if plan.parts:
        console.print(parts_table(plan))
    if any(task.resources.tokens for task in plan.tasks.values()):
        console.print(rates_table(plan))


def print_foreseen(plan: Plan, console: Console) -> None:
    """Print what stages foresee of their tasks."""
    for text in foreseen.texts(plan):
        console.print(f"[yellow]{escape(text)}[/]", highlight=False)


def headline(plan: Plan, site: Cluster | None) -> str:
    """The sweep, its profile, where it runs and where its results will be. Why not on SLURM is said if it is not there;
    else CLUSTER=local, or a line before this one, says it."""
    without = "" if shutil.which("sbatch") else " (no SLURM here)"
    place = f"this machine, {local.cores()} cores{without}"
    if site:
        place = f"SLURM, cluster '{site.name}'"
    where = f"{counted(len(plan.tasks), 'task')}, results in sweeps/{plan.run}"
    return f"[bold]{plan.name}[/]: {plan.title}\nprofile '{plan.profile}' on {place}; {where}"


def plan_table(plan: Plan, finished_tasks: set[str]) -> Table:
    """Tasks, done and to do, and the expected time of those to do, added up, by stage; none where none is stated."""
    table = Table(_name("stage"), *_right("tasks", "done", "to do", "expected time", "GPU time"))
    stages: dict[str, list[Task]] = {}
    for task in plan.tasks.values():
        stages.setdefault(task.stage, []).append(task)
    for stage, tasks in {**stages, "all": list(plan.tasks.values())}.items():
        todo = [task for task in tasks if task.digest not in finished_tasks]
        counts, hours = (len(tasks), len(tasks) - len(todo), len(todo)), costs.hours(todo)
        table.add_row(stage, *map(str, counts), *map(amounts.duration, (hours.tasks, hours.gpus)))
    return table


def parts_table(plan: Plan) -> Table:
    """The sweeps of a sweep of sweeps, and how many tasks each shares with those above it."""
    table = Table("sweep", *_right("results", "tasks", "shared with those above"))
    above: set[str] = set()
    for part in plan.parts:
        table.add_row(part.name, str(len(part.leaves)), str(len(part.tasks)), str(len(above & set(part.tasks))))
        above |= set(part.tasks)
    return table


def rates_table(plan: Plan) -> Table:
    """Hours and memory of the passes over a corpus, computed from measured rates."""
    columns = _right("tasks", "tokens a task", "ranks a task", "core ns/token", "time a task", "GB a rank")
    measured = {cost.facts.token_bytes for cost in plan.costs.values() if cost.facts.token_bytes}
    sampled = [f"{size:.1f} bytes a token, measured on the beginnings of some files" for size in sorted(measured)]
    title = f"computed from rates measured on {rates.MEASURED_ON}"
    table = Table(_name("stage"), *columns, title="; ".join([title, *sampled]))
    rows = Counter((task.stage, task.resources) for task in plan.tasks.values() if task.stage in rates.RATES)
    for (stage, asked), tasks in rows.items():
        if asked.tokens:
            rate, hours, memory = rates.RATES[stage].core_ns, asked.expected_hours, asked.memory_gb
            tokens, time_ = amounts.count(asked.tokens), amounts.duration(hours)
            table.add_row(stage, str(tasks), tokens, str(asked.ranks), f"{rate:g}", time_, f"{memory:.1f}")
    return table


Scales = Mapping[tuple[int, tuple[int, ...], tuple[int, ...]], list[str]]  # see `scales`


def print_power(found: Scales, console: Console) -> None:
    """The differences in rho that the canaries and seeds of sweeps can show (see lib/statistics/power.py)."""
    import pandas as pd

    from lib.statistics import power
    from lib.studies.mosaic import published

    aucs = pd.read_csv(published.AUCS)
    for (seeds, copies, sizes), sweeps in found.items():
        typical = power.typical(aucs, copies)
        table = Table("canaries", *_right("seeds", "at rho", "AUC", "error of it", "same canaries", "others"))
        table.title = f"{', '.join(sweeps)}: the least difference in rho that is found"
        for canaries in sizes:
            for one in power.detectable(canaries, canaries, seeds, typical):
                cells = (one.auc, one.auc_error, one.same_canaries, one.other_canaries)
                table.add_row(str(canaries), str(seeds), f"{one.rho:g}", *(f"{value:.3f}" for value in cells))
        console.print(table)
        console.print(
            f"two-sided test at {power.LEVEL:.0%}, power {power.POWER:.0%}; error of an AUC by Hanley and McNeil; AUCs "
            f"over the same canaries correlate by {typical.correlation:.2f} and the exact curve runs from "
            f"{typical.auc[0]:.2f} to {typical.auc[-1]:.2f}, as the published ones of the ratio attack do"
        )


def scales(plan: Plan) -> Scales:
    """(seeds, exact copies, numbers of canaries) -> the sweeps of that scale that have an exact curve.

    Raises UsageError if none has one.
    """
    found: dict[tuple[int, tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for part in plan.parts or (plan,):
        copies = sorted({leaf.labels["level"] for leaf in part.leaves if leaf.labels.get("kind") == "exact"})
        sizes = {task.config["n"] for task in part.tasks.values() if task.stage == "canaries"}
        if len(copies) > 1 and copies[0] == 1:
            seeds = len({leaf.labels["seed"] for leaf in part.leaves})
            found.setdefault((seeds, tuple(copies), tuple(sorted(sizes))), []).append(part.name)
    if not found:
        raise UsageError(f"--power: {plan.name} has no curve of exact copies from 1 on, so it has no rho")
    return found


def status_table(plan: Plan, found: Survey) -> Table:
    """How many tasks of each stage are in each state."""
    table = Table(_name("stage"), *_right(*STATES))
    for stage, counts in survey.count_by_stage(plan, found.states).items():
        table.add_row(stage, *[str(counts[state] or "") for state in STATES])
    return table


def _name(name: str) -> Column:
    """A column whose cells are never cut: in a narrow terminal the others give way."""
    return Column(name, no_wrap=True)


def _right(*names: str) -> list[Column]:
    """Columns whose cells are set to the right."""
    return [Column(name, justify="right") for name in names]


def print_status(plan: Plan, site: Cluster | None, found: Survey, console: Console) -> None:
    """Print the states by stage, and what the table cannot tell if SLURM could not be asked."""
    console.print(headline(plan, site))
    console.print(status_table(plan, found))
    for remark, tasks in Counter(found.remarks.values()).most_common():
        console.print(f"[yellow]{tasks} live tasks: {escape(remark)}[/]", highlight=False)
    for line in reasons.lines(found.pending.values()):
        console.print(line, highlight=False, markup=False)
    for controller in found.controllers:
        job = controller.job
        text = f"controller {controller.name}: {job.state.lower()} {job.remark()}".rstrip()
        text += reasons.in_words(job.reason) if job.state == "PENDING" else ""
        tables = "; it may be making the tables" if job.state == "RUNNING" else ""
        done = f"[yellow]{text}; it submits no more{tables}[/]"
        console.print(text if controller.will_act() else done, highlight=False)
    for file, jobs in found.damaged.items():
        console.print(
            f"[yellow]{file}: damaged; its live jobs: {', '.join(sorted(jobs)) or 'none'}[/]", highlight=False
        )
    if found.trouble:
        console.print(f"[yellow]{escape(found.trouble)}[/]", highlight=False)
    print_unasked(found, console)


def print_unasked(found: Survey, console: Console) -> bool:
    """Print which jobs of the tasks may live in a SLURM that is not asked. Returns whether there are any."""
    if found.unasked:
        console.print(
            f"[yellow]SLURM, which was not asked, may still have {_named(found.unasked)}; where sbatch works, and "
            "without CLUSTER=local, `status` asks for them and `cancel` ends them[/]",
            highlight=False,
        )
    return bool(found.unasked)


def status_data(root: Path, plan: Plan, found: Survey, retried: Mapping[str, str]) -> dict[str, Any]:
    """What `status --json` prints: the states by stage, every failed task with its error and log, what is in the way.

    `all_done` is whether nothing is left to do; `remarks` are of live tasks, `waiting` SLURM's reasons, and `refused`
    what sbatch said, with the number of tasks; `jobs` are the ids of live jobs of tasks; a controller tries a failed
    task again that is `tried_again`.
    """
    return {
        "sweep": plan.name,
        "profile": plan.profile,
        "tasks": len(plan.tasks),
        "all_done": found.all_done(),
        "states": dict(Counter(found.states.values())),
        "stages": {stage: dict(counts) for stage, counts in survey.count_by_stage(plan, found.states).items()},
        "failed": [_failed_data(root, plan.tasks[digest], found, digest in retried) for digest in found.having(FAILED)],
        "jobs": sorted(found.jobs),
        "controllers": [_controller_data(controller) for controller in found.controllers],
        "waiting": dict(Counter(job.reason for job in found.pending.values())),
        "refused": dict(Counter(found.refused.values())),
        "remarks": dict(Counter(found.remarks.values())),
        "unasked": sorted(found.unasked),
        "trouble": found.trouble,
    }


def _cause(root: Path, task: Task, found: Survey) -> tuple[str, Path | None]:
    """The error and the log of a failed task; of one that never began, what its job printed last."""
    error, log = survey.last_error(root, task)
    if log is not None:
        return error, log
    log = survey.output(found, task.digest)
    last = last_line(log) if log and log.is_file() else ""
    return f"its job ended before the task began{f': {last}' if last else ''}", log


def _failed_data(root: Path, task: Task, found: Survey, tried_again: bool) -> dict[str, Any]:
    error, log = _cause(root, task, found)
    tries = len(attempts.read(finished.directory(root, task)))
    named = {"digest": task.digest, "stage": task.stage, "error": error, "log": str(log or "")}
    return {**named, "attempts": tries, "tried_again": tried_again}


def _controller_data(controller: Controller) -> dict[str, Any]:
    job = controller.job
    named = {"name": controller.name, "job": job.id, "state": job.state, "reason": job.reason}
    return {**named, "will_act": controller.will_act()}


def print_failures(root: Path, plan: Plan, found: Survey, retried: Mapping[str, str], console: Console) -> None:
    """Print what sbatch has refused, error and log of the first failed tasks, and how many more there are.

    retried: failed task -> what is said of it, since a controller tries it again.
    """
    print_refusals(found, console)
    failed = sorted(found.having(FAILED), key=lambda digest: digest in retried)
    for digest in failed[:SHOWN]:
        task = plan.tasks[digest]
        error, log = _cause(root, task, found)
        said = f"{task.stage} {task.label} {digest}: {error}"
        said = f"{said}; {retried[digest]}" if digest in retried else f"failed: {said}"
        console.print(f"{said}\n        {log}", highlight=False, markup=False)
    if len(failed) > SHOWN:
        console.print(f"... and {len(failed) - SHOWN} more failed")


def print_refusals(found: Survey, console: Console) -> None:
    """Print what sbatch has said, and of how many tasks."""
    for said, count in Counter(found.refused.values()).most_common():
        tasks = "task" if count == 1 else "tasks"
        console.print(f"{count} {tasks} not submitted: {said}", highlight=False, markup=False)


def left_queued(jobs: Sequence[str], end: str) -> str:
    """What an interrupted submission leaves behind. jobs: their ids, as far as they are known; end: the shell line."""
    if not jobs:
        return "nothing was submitted by this command"
    return f"{_named(jobs)} and, if it was sent, a controller stay queued; {end} ends them"


def _named(jobs: Collection[str]) -> str:
    """`jobs 7, 8`; of one that sbatch was called for and did not answer, the number is not known."""
    numbers = ["one whose number is not known" if job == submissions.SENDING else job for job in sorted(jobs, key=len)]
    return f"job{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def cancelled(jobs: Collection[str]) -> str:
    """What `cancel` has ended: job ids of SLURM."""
    if not jobs:
        return "nothing is running or waiting"
    return f"cancelled {len(jobs)} job{'s' if len(jobs) > 1 else ''}: {', '.join(sorted(jobs, key=int))}"


def print_other_runs(root: Path, plan: Plan, console: Console) -> None:
    """Print the runs of the same sweep with another profile or other settings, which are not this one."""
    if others := submissions.other_runs(root, plan.run):
        console.print(
            f"this is the run {plan.run}; others of this sweep (by their PROFILE and SET): {', '.join(others)}"
        )


def print_missing(missing: Sequence[Task], console: Console) -> None:
    """Print the first missing tasks."""
    for task in missing[:SHOWN]:
        console.print(f"missing: {task.stage} {task.label} {task.digest}", highlight=False)


RULE = re.compile(r"-{60,}\n")  # around what Open MPI says
OF_MPI = (
    "MPI_ABORT was invoked",
    "get help about:\n    mpi-abort",
    "prterun has exited",
    "prterun noticed",
    "mpirun has exited",
)


def without_mpi(text: str) -> str:
    """A log without what Open MPI adds when a rank ends with an error, which hides the line that says why."""
    parts = [part for part in RULE.split(text) if not any(words in part for words in OF_MPI)]
    return "\n".join(filter(None, (part.strip("\n") for part in parts))) or text


def print_logs(files: Sequence[Path], lines: int, console: Console) -> None:
    """Print the last lines of each log."""
    for file in files:
        console.print(f"[bold]{file}[/]", highlight=False)
        text = without_mpi(file.read_text(encoding="utf-8", errors="replace")).splitlines()[-lines:]
        console.print("\n".join(text), highlight=False, markup=False)


def outcome_printer(console: Console, watch: str = "", end: str = "") -> Callable[[submit.Outcome], None]:
    """A function that prints what a submission did; of a command that stays, once whole and then what has changed.

    watch, end: the shell lines with which the user looks after jobs that go on alone.
    """
    shown: list[submit.Outcome] = []

    def show(outcome: submit.Outcome) -> None:
        if outcome.done == outcome.total or outcome in shown[-1:]:
            return
        if shown:
            now = f"{outcome.done} of {outcome.total} done, {outcome.live} running or queued"
            console.print(f"{time.strftime('%H:%M:%S')} {now}, {outcome.submitted} submitted", highlight=False)
        else:
            _print_outcome(outcome, console)
            if watch and not outcome.stays:
                console.print(f"watch: {watch}\nend:   {end}", highlight=False, markup=False)
        shown.append(outcome)

    return show


def _print_outcome(outcome: submit.Outcome, console: Console) -> None:
    what = f"{outcome.done} of {counted(outcome.total, 'task')} done, {outcome.live} were running or queued, "
    what += f"{outcome.submitted} submitted now"
    if outcome.stays and not outcome.waits_for_login_node:
        what += f"; {escape(outcome.stays)}: this command stays and submits the rest itself. Leave it running"
    elif not outcome.waits_for_login_node:
        what += "; a controller job submits the rest when their inputs are done"
    console.print(what, highlight=False)
    if count := outcome.for_login_node:
        console.print(
            f"[yellow]{counted(count, 'task')} {verb(count, 'need')} the network[/] and {verb(count, 'run')} on the "
            "login node: type the same command there again"
        )
    if count := outcome.without_room:
        console.print(f"{counted(count, 'task')} that can start {verb(count, 'wait')} for room on the disk")


def print_drops(dropped: Dropped, console: Console) -> None:
    """Print which weights were dropped now, and for which sweeps others stay."""
    if dropped.tasks:
        console.print(f"weights of {counted(dropped.tasks, 'model')} dropped, {dropped.bytes / 1e9:.2f} GB free again")
    if dropped.needed_by:
        console.print(f"weights stay that are read, or kept, by: {', '.join(sorted(dropped.needed_by))}")
