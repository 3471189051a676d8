"""Submission to SLURM: all tasks that can start now and are not live, in arrays with the same resources.

Tasks whose inputs are not done yet are submitted later by a controller, a job that waits for the arrays and then runs
the same command again. Where a controller has no place beside the tasks, the command itself stays instead.
Every step is safe to repeat: the submit file is written first, and its job names identify the tasks in what SLURM
reports. That sbatch is called is recorded before it is, so that a submission that is cut off can be told from one that
never began.
"""

import contextlib
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lib.artifacts import code_version
from lib.base import files, lease, places, progress
from lib.base.errors import TesseraError, counted, verb
from lib.plans import disk
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import batch, bundles, controllers, quota, refusals, site, slurm, snapshot, submissions, survey
from lib.running.site import Cluster
from lib.running.submissions import REFUSED, SENDING, Array, Submit
from lib.running.survey import FAILED, QUEUED, RUNNING, UNKNOWN, WAITING, Survey

CONTROLLER = Resources(cpus=1, memory_gb=4, hours=1)
CONTROLLER_SHARE = 0.8  # of its time, after which a controller goes back into the queue
RESTARTS = 3  # of a controller, after errors of the system
LOCK_WAIT_SECONDS = 60.0  # of a user's command, for another one or a controller that submits the sweep
SAY_SECONDS = 30.0  # between two lines of a command that waits for the same thing
CHAIN = 3  # jobs that a chain of controllers takes at least: a task, the controller that submits it, and the next one


@dataclass(frozen=True)
class Request:
    """What the user, or a controller, asks for."""

    root: Path
    command: list[str]  # the launcher's arguments, which a controller repeats
    campaign: str
    controller: str | None = None  # the job name, if a controller asks
    force: bool = False
    max_failures: int = controllers.MAX_FAILURES


@dataclass(frozen=True)
class Outcome:
    """Numbers of tasks: submitted now, live before, done, all, those that wait for room on the disk, and those that
    only the login node can run now.

    stays: why this command has to go on itself; empty if a controller does, or everything is done.
    """

    submitted: int
    live: int
    done: int
    total: int
    without_room: int = 0
    for_login_node: int = 0
    stays: str = ""

    @property
    def waits_for_login_node(self) -> bool:
        """Whether nothing goes on but on the login node."""
        return bool(self.for_login_node) and not (self.submitted or self.live or self.without_room)


def run(request: Request, plan: Plan, cluster: Cluster, report: Callable[[Outcome], None]) -> Outcome:
    """Submit everything that is ready, and a controller for the rest; without one, go on until all is done.

    Raises SchedulerUnavailable if SLURM cannot be asked, and TesseraError if the state of submitted tasks is unknown
    or a task has failed in the same way too often. Then nothing is submitted. A controller whose time ends while it
    waits, for whatever, goes back into the queue.
    """
    seconds = _controller_seconds(cluster)
    ends = time.monotonic() + (seconds if request.controller else math.inf)
    wait = seconds if request.controller else LOCK_WAIT_SECONDS
    try:
        with lease.hold(places.lock(request.root, plan.run), wait), _noting_its_end(request, plan):
            return _waves(request, plan, cluster, report, ends)
    except (TesseraError, OSError) as error:
        if time.monotonic() > ends or (isinstance(error, OSError) and _may_restart(request)):
            print(f"{error}; this controller goes back into the queue, and tries again", file=sys.stderr, flush=True)
            _requeue(cluster)
        raise


def _may_restart(request: Request) -> bool:
    """Whether a controller tries again after an error of the system: of a disk, it may pass."""
    return request.controller is not None and int(os.environ.get("SLURM_RESTART_COUNT", "0")) < RESTARTS


def _waves(request: Request, plan: Plan, cluster: Cluster, report: Callable[[Outcome], None], ends: float) -> Outcome:
    """Waves until a controller goes on, or everything is done, or only the login node can."""
    stays = _no_chain(cluster)
    while True:
        outcome = _wave(request, plan, cluster, stays, ends)
        report(outcome)
        stays = outcome.stays  # to the end: a controller would take the place of a task
        if not stays or outcome.waits_for_login_node:
            return outcome
        if time.monotonic() > ends:
            _requeue(cluster)
        time.sleep(cluster.poll_seconds)


@contextlib.contextmanager
def _noting_its_end(request: Request, plan: Plan) -> Iterator[None]:
    """If a controller asks: note at the end, before the lock is given up, that it will do nothing more."""
    try:
        yield
    finally:
        identity = places.submit_of_job(request.controller or "")
        if identity:
            controllers.record_acted(places.submit_file(request.root, plan.run, identity))


def _requeue(cluster: Cluster) -> None:
    """Put this controller's job back into the queue, which ends this process.

    SLURM is asked until it does so: a job that reaches its time limit does not come back.
    """
    while job := os.environ.get("SLURM_JOB_ID"):
        try:
            slurm.requeue(job)
        except slurm.SchedulerUnavailable as error:
            print(error, file=sys.stderr, flush=True)
        time.sleep(cluster.poll_seconds)


def _controller_seconds(cluster: Cluster) -> float:
    return CONTROLLER_SHARE * 3600 * controller_resources(cluster).hours


def _wave(request: Request, plan: Plan, cluster: Cluster, stays: str, ends: float) -> Outcome:
    """One wave, once the state of every task is known.

    The accounting and listings of shared folders lag behind, and so may SLURM. A user waits for `silence_seconds` at
    most, and not for a SLURM that does not answer; a controller waits until its time `ends`.
    """
    start = time.monotonic()
    patience = ends - start if request.controller else cluster.silence_seconds
    said = _Obstacle()
    while True:
        waited = time.monotonic() - start
        try:
            with lease.hold(places.submission_lock(request.root), patience):  # sweeps share tasks
                found = survey.cluster(request.root, plan, cluster.silence_seconds, waited)
                return _submit(request, plan, cluster, _known(request, plan, found), stays)
        except (_NotKnown, slurm.SchedulerUnavailable, batch.Unanswered) as error:
            if waited > patience or not (request.controller or isinstance(error, _NotKnown)):
                raise
            said.say(error.what if isinstance(error, _NotKnown) else str(error), patience - waited)
        time.sleep(min(cluster.poll_seconds, max(0.1, patience - waited)))


class _Obstacle:
    """Says what keeps a command from going on: the whole of it once, then now and then how long it still asks."""

    def __init__(self) -> None:
        self.text, self.moment = "", 0.0

    def say(self, text: str, left: float) -> None:
        """text: the obstacle; left: seconds for which the command asks."""
        now = time.monotonic()
        if text != self.text:
            line = f"{text}; trying again for up to {progress.spelled(left)}"
        elif now - self.moment >= SAY_SECONDS:
            line = f"still waiting; {progress.spelled(left)} left"
        else:
            return
        self.text, self.moment = text, now
        print(line, file=sys.stderr, flush=True)


def _submit(request: Request, plan: Plan, cluster: Cluster, found: Survey, stays: str) -> Outcome:
    """Submit what is ready and has a place, then a controller, unless this command `stays`."""
    if found.all_done():
        return Outcome(0, 0, len(plan.tasks), len(plan.tasks))
    _stop_if_failed_for_good(request, plan, found)
    found.queued = slurm.queue_length() if cluster.max_submit_jobs else 0
    startable = list(survey.ready(plan, found))
    ready = [task for task in startable if not site.on_login_node(task.resources, cluster)]
    fitting = _with_room(request, plan, cluster, ready, found)
    submitted, stays = _send_what_fits(request, plan, cluster, fitting, found, stays)
    return Outcome(
        submitted=submitted,
        live=len(found.having(RUNNING, QUEUED)),
        done=len(found.having(survey.DONE)),
        total=len(plan.tasks),
        for_login_node=len(startable) - len(ready),
        without_room=len(ready) - len(fitting),
        stays=stays,
    )


class _NotKnown(TesseraError):
    """Something is not known yet; asking again may help. what: without the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; nothing was submitted. {remedy}")
        self.what = what


def _known(request: Request, plan: Plan, found: Survey) -> Survey:
    """The survey, if it leaves nothing open. Damaged submit files without live jobs are put aside."""
    for file, jobs in found.damaged.items():
        if jobs and not request.force:
            raise _NotKnown(
                f"{file}: the submit file is damaged, and its jobs {', '.join(sorted(jobs))} are live; which tasks "
                "they run is not known",
                "Wait for their end, or end them (`cancel`)",
            )
        print(f"{file}: damaged; kept as {files.set_aside(file).name}", file=sys.stderr)
    unknown = found.having(UNKNOWN)
    if unknown and not request.force:
        remedy = "Run the command again in some minutes, or with --force if you know that these tasks are lost"
        raise _NotKnown(_unknown_message(plan, unknown), remedy)
    found.states.update(dict.fromkeys(unknown, FAILED))
    _release(found.stuck)
    return found


def _release(held: set[str]) -> None:
    """Let jobs start that SLURM held after a failed launch."""
    if not held:
        return
    names = ", ".join(sorted(held))
    try:
        slurm.release(held)
        print(f"released jobs that SLURM held after a failed launch: {names}", file=sys.stderr)
    except slurm.SchedulerUnavailable as error:
        print(f"jobs that SLURM holds after a failed launch could not be released: {names}: {error}", file=sys.stderr)


def _with_room(request: Request, plan: Plan, cluster: Cluster, ready: list[Task], found: survey.Survey) -> list[Task]:
    """The ready tasks that the disk has room for; the others follow as weights are dropped.

    Raises TesseraError if there is room for none, and no job of the sweep will make any.
    """
    left = quota.left(request.root, cluster.disk_quota_gb)
    claimed = disk.claimed(plan, found.having(RUNNING, QUEUED), cluster.array_parallelism)
    fitting = disk.fitting(plan, ready, left.gb - claimed, cluster.array_parallelism)
    if ready and not fitting and not found.jobs:
        raise TesseraError(
            f"the disk has no room for any of the tasks that can start ({len(ready)}): {left.gb:.1f} GB {left.where}; "
            "`plan` says how much the sweep needs, and how it can do with less"
        )
    return fitting


def _unknown_message(plan: Plan, unknown: list[str]) -> str:
    first = plan.tasks[unknown[0]]
    return (
        f"{counted(len(unknown), 'submitted task')} {verb(len(unknown), 'are')} not done and not in SLURM's queue, and "
        f"it is not known whether they have ended (first: {first.stage} {first.label} {first.digest})"
    )


def _stop_if_failed_for_good(request: Request, plan: Plan, found: survey.Survey) -> None:
    """Raise TesseraError if a task has failed in the same way too often."""
    for digest in found.having(FAILED, WAITING):
        task = plan.tasks[digest]
        count, error = survey.failures(request.root, task, request.campaign)
        if count >= request.max_failures:
            log = survey.last_error(request.root, task)[1]
            raise TesseraError(f"{task.stage} {task.label} {digest} failed {count} times: {error}; log: {log}")
    _stop_if_jobs_die(request, plan, found)


def _stop_if_jobs_die(request: Request, plan: Plan, found: survey.Survey) -> None:
    """Raise TesseraError if jobs of this campaign end repeatedly before their task begins."""
    times = survey.sent_times(found, request.campaign)
    for digest in found.having(FAILED, WAITING):
        task = plan.tasks[digest]
        if times[digest] >= request.max_failures and not survey.tried(request.root, task, request.campaign):
            raise TesseraError(
                f"{task.stage} {task.label} {digest}: {times[digest]} jobs ended before the task began; check the "
                f"cluster file's set-up lines and the nodes' Python; output of the jobs: {survey.output(found, digest)}"
            )


def _send_what_fits(
    request: Request, plan: Plan, cluster: Cluster, ready: list[Task], found: Survey, stays: str
) -> tuple[int, str]:
    """Submit as many jobs of the ready tasks as SLURM takes, and a controller.

    Returns how many tasks, and why this command must stay. Where SLURM says that a limit on jobs is reached, half as
    many are tried, down to one.
    """
    code = snapshot.take(request.root)
    needs_controller = not stays and _controller_needed(request, plan, found, code)
    room = _room(cluster, found.queued, needs_controller)
    jobs = bundles.of(ready, cluster.bundle_minutes, _failed_by_themselves(request, plan, found))
    several = len(jobs) if room is None else min(room, len(jobs))
    limit = f"cluster '{cluster.name}': max_submit_jobs {cluster.max_submit_jobs}"
    while True:
        submit = _composed(request, plan, cluster, jobs[:several], code)
        if not needs_controller or not (submit.arrays or found.jobs):
            submit = replace(submit, controller=None)
        if not submit.arrays and not submit.controller:
            return 0, stays or _waiting_for(request, ready, found, limit)
        file = submissions.write(request.root, plan.run, submit)
        try:
            sent, refused = _send(file, submit, cluster, found)
            return sent, stays or refused
        except batch.LimitReached as error:
            submissions.remove(file)  # SLURM has taken nothing of it
            several, limit = several // 2, str(error)


def _failed_by_themselves(request: Request, plan: Plan, found: Survey) -> set[str]:
    """The failed tasks that had begun. The others were in a job that ended before their turn."""
    return {one for one in found.having(FAILED) if survey.tried(request.root, plan.tasks[one], request.campaign)}


def _composed(request: Request, plan: Plan, cluster: Cluster, jobs: list[list[Task]], code: Path) -> Submit:
    """A submission of these jobs and a controller, with an id of its own. jobs: the tasks of each one."""
    identity = submissions.new_id()
    chunks = list(arrays(plan.run, identity, cluster, jobs))
    return Submit(
        id=identity,
        created=time.time(),
        campaign=request.campaign,
        root=str(request.root),
        snapshot=str(code),
        command=request.command,
        arrays=chunks,
        tasks=plan.tasks,
        controller=places.job(plan.run, identity, "controller"),
        commit=code_version.commit(),
    )


def _no_chain(cluster: Cluster) -> str:
    """Why no controller can follow another one on this cluster; empty if one can."""
    limit = cluster.max_submit_jobs
    if limit is None or limit >= CHAIN:
        return ""
    return (
        f"cluster '{cluster.name}' allows {limit} jobs at a time (max_submit_jobs), which leaves none for controllers"
    )


def _controller_needed(request: Request, plan: Plan, found: Survey, code: Path) -> bool:
    """Whether no other controller of this command will act on this plan with this code.

    Controllers of the same command that would not, or with other code or tasks, are cancelled.
    Raises TesseraError in a controller if one of them was sent by a later command: that one goes on.
    """
    same = [
        one for one in found.controllers if one.submit.command == request.command and one.name != request.controller
    ]
    acting = [one for one in same if one.will_act()]
    fit = [one for one in acting if one.stands_for(plan, code)]
    unfit = [one for one in same if one not in fit and (one in acting or one.job.is_stuck())]
    later = [one.name for one in unfit if one in acting and one.submit.campaign > request.campaign]
    if request.controller and later:
        raise TesseraError(f"{later[0]} of a later command goes on, with other code or tasks; this controller ends")
    next_one = "another one goes on" if fit else "a new one follows"
    for one in unfit:
        print(f"cancelled {one.name}, because {one.unfit(plan, code)}; {next_one}", file=sys.stderr)
    slurm.cancel(one.job.id for one in unfit)
    return not fit


def _waiting_for(request: Request, ready: list[Task], found: Survey, limit: str) -> str:
    """Why a command that has submitted nothing and no controller must stay; empty if another controller goes on.

    Raises TesseraError if the `limit` on jobs leaves no place: a controller waits for one, a user is told.
    """
    if found.having(RUNNING, QUEUED):
        return "" if found.jobs else "tasks run outside SLURM, and no job can wait for them"
    if not ready:
        return ""
    message = (
        f"{limit} leaves no place for a task beside your {found.queued} other jobs; submit again when some of "
        "them have ended"
    )
    if not request.controller:
        raise TesseraError(message)
    return message


def arrays(run: str, identity: str, cluster: Cluster, jobs: list[list[Task]]) -> Iterator[Array]:
    """The jobs in arrays of equal resources, in pieces of MaxArraySize. jobs: the tasks of each one."""
    size = slurm.max_array_size(cluster) if jobs else 1
    number = 0
    for resources, several in by_resources(jobs).items():
        for start in range(0, len(several), size):
            yield _array(places.job(run, identity, number), several[start : start + size], resources)
            number += 1


def _array(name: str, jobs: list[list[Task]], resources: Resources) -> Array:
    digests = [task.digest for job in jobs for task in job]
    return Array(name, digests, resources, list(map(len, jobs)) if len(digests) > len(jobs) else [])


def by_resources(jobs: Iterable[list[Task]]) -> dict[Resources, list[list[Task]]]:
    """The jobs by what they ask of SLURM, in their order."""
    groups: dict[Resources, list[list[Task]]] = defaultdict(list)
    for job in jobs:
        groups[bundles.asked(job[0])].append(job)
    return groups


def controller_resources(cluster: Cluster) -> Resources:
    """What a controller asks of SLURM."""
    return replace(CONTROLLER, hours=min(CONTROLLER.hours, cluster.max_hours or CONTROLLER.hours))


def _room(cluster: Cluster, queued: int, with_controller: bool) -> int | None:
    """How many tasks may be submitted beside `queued` jobs and a controller; None means any number."""
    limit = cluster.max_submit_jobs
    return None if limit is None else max(0, limit - queued - with_controller)


def _send(file: Path, submit: Submit, cluster: Cluster, found: Survey) -> tuple[int, str]:
    """Submit every array, then the controller. Returns how many tasks, and why no controller could be sent.

    Raises LimitReached if not even the first array is taken. After another refusal, or without an answer, the
    controller is sent for what is live, so that the sweep continues with that; then the error is raised.
    """
    jobs: dict[str, str] = {}
    for array in submit.arrays:
        share = cluster.array_parallelism // len(submit.arrays)
        parameters = batch.parameters(cluster, array.resources, array.name, submit.snapshot, share)
        submissions.record_jobs(file, {**jobs, array.name: SENDING})
        try:
            jobs[array.name] = batch.submit(file, array.name, len(array.elements()), parameters)
            submissions.record_jobs(file, jobs)
        except batch.LimitReached:
            submissions.record_jobs(file, {**jobs, array.name: REFUSED})
            if not jobs:
                raise
            break
        except (batch.Refused, batch.Unanswered) as error:
            if isinstance(error, batch.Refused):
                remedy = f"{refusals.remedy(str(error), cluster)}; `make doctor` tries them all"
                error = batch.Refused(f"{error}; {remedy}")
                submissions.record_jobs(file, {**jobs, array.name: REFUSED})
                submissions.record_refused(file, str(error))
            _send_controller(file, submit, cluster, {*jobs.values(), *found.jobs})
            raise error
    refused = _send_controller(file, submit, cluster, {*jobs.values(), *found.jobs})
    return sum(len(array.digests) for array in submit.arrays if array.name in jobs), refused


def _send_controller(file: Path, submit: Submit, cluster: Cluster, waits: set[str]) -> str:
    """Submit the controller, if there is one and something that it waits for. Returns why it has no place, or ""."""
    if not submit.controller or not waits:
        return ""
    resources = controller_resources(cluster)
    parameters = batch.parameters(cluster, resources, submit.controller, submit.snapshot, 1, after=sorted(waits))
    try:
        batch.submit(file, submit.controller, 1, parameters)
    except batch.LimitReached as error:
        return f"no controller could be submitted ({error})"
    return ""
