"""Submission to SLURM: all tasks that can start now and are not live, in arrays with the same resources.

Tasks whose inputs are not done yet are submitted later by a controller, a job that waits for the arrays and then runs
the same command again. Every step is safe to repeat: the submit file is written first, and its job names identify the
tasks in what SLURM reports.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lib.base import lease, places
from lib.base.errors import TesseraError
from lib.plans import disk
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import quota, runner, site, slurm, snapshot, submissions, survey
from lib.running.site import Cluster
from lib.running.submissions import Array, Submit
from lib.running.survey import FAILED, QUEUED, RUNNING, UNKNOWN, WAITING

CONTROLLER = Resources(cpus=1, memory_gb=4, hours=1)
LOCK_WAIT_SECONDS = 300.0
CONTROLLER_TRIES = 20


@dataclass(frozen=True)
class Request:
    """What the user, or a controller, asks for."""

    root: Path
    command: list[str]  # the launcher's arguments, which a controller repeats
    campaign: str
    controller: str | None = None  # the job name, if a controller asks
    force: bool = False
    max_failures: int = 3


@dataclass(frozen=True)
class Outcome:
    """Numbers of tasks: submitted now, live before, done, all, those that wait for room on the disk, and those that
    only the login node can run now."""

    submitted: int
    live: int
    done: int
    total: int
    without_room: int = 0
    for_login_node: int = 0


def wave(request: Request, plan: Plan, cluster: Cluster) -> Outcome:
    """One wave: submit everything that is ready, and a controller for the rest.

    Raises SchedulerUnavailable if SLURM cannot be asked, and TesseraError if the state of submitted tasks is unknown
    or a task has failed in the same way too often. Then nothing is submitted.
    """
    with lease.hold(places.lock(request.root, plan.name), LOCK_WAIT_SECONDS if request.controller else 0.0):
        found = _complete_survey(request, plan, cluster)
        _stop_if_failed_for_good(request, plan, found)
        startable = list(survey.ready(plan, found))
        ready = [task for task in startable if not site.on_login_node(task.resources, cluster)]
        fitting = _with_room(request, plan, cluster, ready, found)
        file, submit = _freeze(request, plan, cluster, fitting, found)
        if file:
            found.jobs |= set(_send(file, submit, cluster, found).values())
        return Outcome(
            submitted=sum(len(array.digests) for array in submit.arrays),
            live=len(found.having(RUNNING, QUEUED)),
            done=len(found.having(survey.DONE)),
            total=len(plan.tasks),
            for_login_node=len(startable) - len(ready),
            without_room=len(ready) - len(fitting),
        )


def _complete_survey(request: Request, plan: Plan, cluster: Cluster) -> survey.Survey:
    """The survey, without unknown tasks. A controller asks repeatedly, because the accounting lags behind."""
    tries = CONTROLLER_TRIES if request.controller else 1
    for left in reversed(range(tries)):
        try:
            found = survey.cluster(request.root, plan)
            unknown = found.having(UNKNOWN)
            if unknown and not request.force:
                raise TesseraError(_unknown_message(plan, unknown))
            found.states.update(dict.fromkeys(unknown, FAILED))
            _stop_if_full(plan, cluster, found)
            return found
        except TesseraError:
            if not left:
                raise
            time.sleep(cluster.poll_seconds)
    raise AssertionError("unreachable")


def _with_room(request: Request, plan: Plan, cluster: Cluster, ready: list[Task], found: survey.Survey) -> list[Task]:
    """The ready tasks that the disk has room for; the others follow as weights are dropped.

    Raises TesseraError if there is room for none, and no job of the sweep will make any.
    """
    left = quota.left(request.root, cluster.disk_quota_gb)
    claimed = disk.claimed(plan, found.having(RUNNING, QUEUED), cluster.array_parallelism)
    fitting = disk.fitting(plan, ready, left.gb - claimed, cluster.array_parallelism)
    if ready and not fitting and not found.jobs:
        raise TesseraError(
            f"the disk has no room for any of the {len(ready)} tasks that can start: {left.gb:.1f} GB {left.where}; "
            "`plan` says how much the sweep needs, and how it can do with less"
        )
    return fitting


def _stop_if_full(plan: Plan, cluster: Cluster, found: survey.Survey) -> None:
    """Raise TesseraError if the user's other jobs leave no place for a task, and no job of the sweep will free one."""
    if cluster.max_submit_jobs is None:
        return
    found.queued = slurm.queue_length()
    if _room(cluster, found.queued) == 0 and not found.jobs and any(survey.ready(plan, found)):
        raise TesseraError(
            f"cluster '{cluster.name}': max_submit_jobs {cluster.max_submit_jobs} leaves no place for a task beside "
            f"your {found.queued} other jobs; submit again when some of them have ended"
        )


def _room(cluster: Cluster, queued: int) -> int | None:
    """How many tasks may be submitted beside `queued` jobs and a controller; None means any number."""
    return None if cluster.max_submit_jobs is None else max(0, cluster.max_submit_jobs - queued - 1)


def _unknown_message(plan: Plan, unknown: list[str]) -> str:
    first = plan.tasks[unknown[0]]
    return (
        f"{len(unknown)} submitted tasks are not done, not queued, and have not ended in SLURM's accounting "
        f"(first: {first.stage} {first.label} {first.digest}); nothing was submitted. "
        "Run the command again in some minutes, or with --force if you know that these tasks are lost"
    )


def _stop_if_failed_for_good(request: Request, plan: Plan, found: survey.Survey) -> None:
    """Raise TesseraError if a task has failed in the same way too often."""
    for digest in found.having(FAILED):
        task = plan.tasks[digest]
        count, error = survey.failures(request.root, task, request.campaign)
        if count >= request.max_failures:
            log = survey.last_error(request.root, task)[1]
            raise TesseraError(f"{task.stage} {task.label} {digest} failed {count} times: {error}; log: {log}")
    _stop_if_jobs_die(request, plan, found)


def _stop_if_jobs_die(request: Request, plan: Plan, found: survey.Survey) -> None:
    """Raise TesseraError if jobs of this campaign end repeatedly before their task begins."""
    every = submissions.all_of(request.root, plan.name)
    mine = [(file, submit) for file, submit in every if submit.campaign == request.campaign]
    times = Counter(digest for _, submit in mine for array in submit.arrays for digest in array.digests)
    for digest in found.having(FAILED, WAITING):
        task = plan.tasks[digest]
        if times[digest] >= request.max_failures and not survey.tried(request.root, task, request.campaign):
            raise TesseraError(
                f"{task.stage} {task.label} {digest}: {times[digest]} jobs ended before the task began; check the "
                f"cluster file's set-up lines and the nodes' Python; output of the jobs: {mine[-1][0].with_suffix('')}"
            )


def _freeze(
    request: Request, plan: Plan, cluster: Cluster, ready: list[Task], found: survey.Survey
) -> tuple[Path | None, Submit]:
    """The submit file for the ready tasks and, while jobs are live, a controller: it submits what follows, then
    collects."""
    identity = submissions.new_id()
    chunks = list(arrays(identity, cluster, ready, found.queued))
    same_command = {name for name, command in found.controllers.items() if command == request.command}
    needed = bool(chunks or found.jobs) and not same_command - {request.controller}
    controller = places.job(identity, "controller") if needed else None
    code, root = str(snapshot.take(request.root)), str(request.root)
    submit = Submit(
        identity, time.time(), request.campaign, root, code, request.command, chunks, plan.tasks, controller
    )
    if not chunks and not controller:
        return None, submit
    return submissions.write(request.root, plan.name, submit), submit


def arrays(identity: str, cluster: Cluster, ready: list[Task], queued: int) -> Iterator[Array]:
    """The ready tasks in arrays of equal resources, as many as MaxArraySize and MaxSubmitJobs allow now.

    queued: how many jobs the user has already, of any kind.
    """
    ready = ready[: _room(cluster, queued)]
    groups: dict[Resources, list[str]] = defaultdict(list)
    for task in ready:
        groups[replace(task.resources, expected_hours=0.0)].append(task.digest)
    size = slurm.max_array_size(cluster) if ready else 1
    number = 0
    for resources, digests in groups.items():
        for start in range(0, len(digests), size):
            yield Array(places.job(identity, number), digests[start : start + size], resources)
            number += 1


def _send(file: Path, submit: Submit, cluster: Cluster, found: survey.Survey) -> dict[str, str]:
    """Submit every array, then the controller. Returns job ids by array name; they are recorded one by one."""
    folder = file.with_suffix("")
    folder.mkdir(exist_ok=True)
    jobs: dict[str, str] = {}
    for array in submit.arrays:
        share = cluster.array_parallelism // len(submit.arrays)
        parameters = slurm.parameters(cluster, array.resources, array.name, submit.snapshot, share)
        arguments = [(str(file), digest) for digest in array.digests]
        try:
            jobs[array.name] = slurm.submit_array(folder, array, runner.run_task, arguments, parameters)
        except TesseraError as error:
            unsent = submit.arrays[len(jobs) + slurm.perhaps_sent(error) :]
            submissions.record_jobs(file, {**jobs, **{array.name: submissions.REFUSED for array in unsent}})
            if jobs and submit.controller:  # so that the sweep continues with the jobs that were sent
                _send_controller(file, submit, cluster, sorted(jobs.values()))
            raise
        submissions.record_jobs(file, jobs)
    if submit.controller:
        waits = sorted({*jobs.values(), *found.jobs} - {""})
        _send_controller(file, submit, cluster, waits)
    return jobs


def _send_controller(file: Path, submit: Submit, cluster: Cluster, waits: list[str]) -> None:
    parameters = slurm.parameters(cluster, CONTROLLER, submit.controller, submit.snapshot, 1, after=waits)
    array = Array(submit.controller, [], CONTROLLER)
    slurm.submit_array(file.with_suffix(""), array, runner.run_controller, [(str(file), "")], parameters)
