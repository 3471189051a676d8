"""The state of every task of a plan: done, running, queued, waiting, failed or unknown."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, heartbeat
from lib.artifacts.lock import held
from lib.base import places
from lib.plans.finished import directory, done, is_done
from lib.plans.plan import Plan, Task
from lib.running import evidence, slurm, submissions
from lib.running.controllers import Controller
from lib.running.evidence import Evidence
from lib.running.site import Cluster
from lib.running.slurm import Element, Job
from lib.running.submissions import Submit

DONE, RUNNING, QUEUED, UNKNOWN, FAILED, WAITING = "done", "running", "queued", "unknown", "failed", "waiting"
STATES = (DONE, RUNNING, QUEUED, UNKNOWN, FAILED, WAITING)
MAX_ATTEMPTS = 10  # of one task in one campaign, even if it fails in different ways


@dataclass
class Survey:
    """The state of every task, and the jobs of the sweep.

    jobs: ids of the live jobs that run tasks of the plan, of whatever sweep, and of those of a damaged submit file
    controllers: of this sweep, in the queue
    remarks: digest -> what the user should know of a job that runs, or of one that SLURM does not know
    pending: digest -> the job that waits
    stuck: ids of jobs, of tasks or controllers, that SLURM holds after a failure of a node
    sent: submissions of whatever sweep with tasks of the plan that are not done, the last one last; without `tasks`
    refused: digest -> what sbatch said, of tasks that were to be submitted and were not taken
    damaged: submit files that cannot be understood, and the ids of their live jobs
    unasked: ids of the jobs of unknown tasks, or SENDING, where SLURM is not asked
    trouble: why SLURM, or its accounting, could not be asked
    """

    states: dict[str, str] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    controllers: list[Controller] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)
    pending: dict[str, Job] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    sent: list[tuple[Path, Submit]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    damaged: dict[Path, set[str]] = field(default_factory=dict)
    queued: int = 0  # all jobs of the user; asked only if max_submit_jobs is set
    unasked: set[str] = field(default_factory=set)
    trouble: str = ""

    def having(self, *states: str) -> list[str]:
        """The digests in one of these states, in the plan's order."""
        return [digest for digest, state in self.states.items() if state in states]

    def all_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(state == DONE for state in self.states.values())


def local(root: Path, plan: Plan) -> Survey:
    """The states by the files on this machine alone."""
    finished = done(root, plan)
    states = {}
    for digest, task in plan.tasks.items():
        states[digest] = DONE if digest in finished else _local_state(directory(root, task))
    return Survey(states)


def cluster(root: Path, plan: Plan, silence_seconds: float, waited: float = 0.0) -> Survey:
    """The states by the files, by SLURM, and by what the tasks themselves have recorded.

    Submissions of all sweeps count, since sweeps share tasks. silence_seconds: of the cluster file; waited: seconds for
    which the command has been asking. Raises slurm.SchedulerUnavailable if the queue cannot be asked.
    """
    return _of_submissions(root, plan, slurm.queue(), silence_seconds, waited)


def without_slurm(root: Path, plan: Plan, silence_seconds: float = Cluster.silence_seconds) -> Survey:
    """The states where SLURM is not asked: a task that was submitted, and whose end nothing tells, is unknown."""
    return _of_submissions(root, plan, None, silence_seconds)


def _of_submissions(
    root: Path, plan: Plan, queue: dict[Element, Job] | None, silence_seconds: float, waited: float = 0.0
) -> Survey:
    """The states by the files and by what was submitted. queue: what squeue says; None if it is not asked."""
    result = local(root, plan)
    damaged: list[Path] = []
    queued = queue or {}
    for file, submit in submissions.all_of(root, damaged=damaged):
        job = queued.get((submit.controller, 0)) if submit.controller else None
        if job and file == places.submit_file(root, plan.run, submit.id):
            result.controllers.append(Controller(file, submit, job))
            result.stuck |= {job.id} if job.was_held_by_slurm() else set()
        if _concerns(submit, result.states):
            result.sent.append((file, replace(submit, tasks={})))  # of a large plan they take much memory
    result.sent.sort(key=lambda pair: submissions.sent_at(pair[0]))  # files come sweep by sweep
    result.damaged = {file: slurm.jobs_of(queued, {file.stem}) for file in damaged if queue is not None}
    result.jobs |= set().union(*result.damaged.values())
    _judge(root, plan, result, _evidence(root, plan, result, queue, waited), silence_seconds)
    _mark_newly_done(root, plan, result)
    return result


def failures(root: Path, task: Task, campaign: str) -> tuple[int, str]:
    """How many times in a row the task has failed with the same error in this campaign, and that error.

    An attempt that was cut off (time limit, preemption, lost node) is not a failure if it got further than all before
    it, and the count starts again. Nor is one that was set back, because something that it reads has to be made again.
    After MAX_ATTEMPTS of either all of them count, whatever their errors.
    """
    place = directory(root, task)
    records = [record for record in attempts.read(place) if record.get("campaign") == campaign]
    tries = [record for record in records if attempts.counts(record)]
    if not tries:
        return 0, ""
    further = _went_further(tries, attempts.progress(place))
    errors = ["" if moved else _error(record) for record, moved in zip(tries, further)]
    counted = [error for error, record in zip(errors, tries) if record["outcome"] != attempts.SET_BACK]
    last = _error(tries[-1])
    streak = next((i for i, error in enumerate(reversed(counted)) if error != last), len(counted))
    failed = sum(map(bool, errors))
    return (failed if failed >= MAX_ATTEMPTS else streak), last


def _went_further(tries: list[dict[str, Any]], now: int) -> Iterator[bool]:
    """Whether each attempt was cut off after getting further than any before it; `now`: the progress after the last."""
    starts = [record.get("progress", 0) for record in tries]
    best = starts[0]
    for record, after in zip(tries, [*starts[1:], now]):
        yield not attempts.reported_by_stage(record) and after > best
        best = max(best, after)


def _error(record: dict[str, Any]) -> str:
    return record.get("error", attempts.KILLED)


def tried(root: Path, task: Task, campaign: str) -> bool:
    """Whether an attempt at the task has begun in this campaign."""
    return any(record.get("campaign") == campaign for record in attempts.read(directory(root, task)))


def sent_times(found: Survey, campaign: str) -> Counter[str]:
    """How many jobs of a campaign that SLURM has taken began with each task: those that run several begin with one."""
    times: Counter[str] = Counter()
    for file, submit in found.sent:
        if submit.campaign == campaign:
            jobs = submissions.jobs(file, [array.name for array in submit.arrays])
            taken = (array for array in submit.arrays if submissions.is_sent(jobs.get(array.name)))
            times.update(digests[0] for array in taken for digests in array.elements())
    return times


def retried(root: Path, plan: Plan, found: Survey) -> dict[str, str]:
    """The failed tasks that a controller in the queue will try again, and in words how many tries have failed."""
    said = {}
    for controller in filter(Controller.will_act, found.controllers):
        campaign, most = controller.submit.campaign, controller.max_failures
        jobs = sent_times(found, campaign)
        for digest in found.having(FAILED):
            task = plan.tasks[digest]
            count = failures(root, task, campaign)[0] if tried(root, task, campaign) else jobs[digest]
            if count < most:
                said[digest] = f"{count} of {most} tries failed; it is tried again"
    return said


def output(found: Survey, digest: str) -> Path | None:
    """What the last job of a task printed, or the folder where that would be; None if no job was sent."""
    for file, submit in reversed(found.sent):
        for array in submit.arrays:
            if digest in array.digests:
                folder, job = file.with_suffix(""), submissions.jobs(file, [array.name]).get(array.name)
                index = dict(array.placed())[digest]
                names = (f"{job}_{index}_0_log.out", f"{job}_0_log.out")  # of submitit: of an array, and of one job
                return next((folder / name for name in names if (folder / name).is_file()), folder)
    return None


def last_error(root: Path, task: Task) -> tuple[str, Path | None]:
    """The error and the log of the last attempt."""
    records = attempts.read(directory(root, task))
    if not records:
        return "", None
    log = places.attempt(directory(root, task), records[-1]["number"], "log")
    return _error(records[-1]), log


def count_by_stage(plan: Plan, states: dict[str, str]) -> dict[str, Counter]:
    """Stage -> state -> number of tasks, stages in the order of the plan."""
    counts: dict[str, Counter] = {}
    for digest, task in plan.tasks.items():
        counts.setdefault(task.stage, Counter())[states[digest]] += 1
    return counts


def _local_state(path: Path) -> str:
    if not path.exists():
        return WAITING
    if held(path):
        return RUNNING
    return FAILED if attempts.read(path) and not attempts.waits(path) else WAITING


def _concerns(submit: Submit, states: dict[str, str]) -> bool:
    return any(states.get(digest, DONE) != DONE for array in submit.arrays for digest in array.digests)


def _evidence(
    root: Path, plan: Plan, result: Survey, queue: dict[Element, Job] | None, waited: float
) -> Iterator[tuple[str, Evidence]]:
    """Digest and evidence of every element whose task is not done, oldest first."""
    now = heartbeat.clock(root) if result.sent else 0.0
    numbers = {file: submissions.jobs(file, [array.name for array in submit.arrays]) for file, submit in result.sent}
    asked, queued = queue is not None, queue or {}
    accounted = _accounted(result, numbers, queued) if asked else {}
    for file, submit in result.sent:
        refusal, cancelled = submissions.refused(file), places.submit_cancelled(file).exists()
        age = abs(now - submissions.sent_at(file))  # a clock that was ahead leaves a time to come
        for array in submit.arrays:
            elements = array.elements()
            for digest, index in array.placed():
                if result.states.get(digest, DONE) == DONE:
                    continue
                place, element = directory(root, plan.tasks[digest]), (array.name, index)
                shared = len(elements[index]) > 1
                yield (
                    digest,
                    Evidence(
                        job=queued.get(element),
                        accounted=accounted.get(element),
                        sent=numbers[file].get(array.name),
                        age=age,
                        silence=heartbeat.silence(place / places.ALIVE, now),
                        ended=(shared or element not in queued) and attempts.ended(place, submit.id, not asked),
                        shared=shared,
                        waited=waited,
                        refusal=refusal,
                        cancelled=cancelled,
                        asked=asked,
                    ),
                )


def _accounted(result: Survey, numbers: dict[Path, dict[str, str]], queued: dict[Element, Job]) -> dict[Element, str]:
    """What the accounting says of arrays with elements that are not in the queue; nothing where there is none."""
    ids, names = [], []
    for file, submit in result.sent:
        for array in submit.arrays:
            number = numbers[file].get(array.name)
            gone = any(
                (array.name, index) not in queued and result.states.get(digest, DONE) != DONE
                for digest, index in array.placed()
            )
            if gone and number is not None and submissions.is_sent(number):
                names.append(array.name) if number == submissions.SENDING else ids.append(number)
    try:
        return slurm.history(ids, names, min((submit.created for _, submit in result.sent), default=0.0))
    except slurm.SchedulerUnavailable as error:
        result.trouble = f"no accounting ({error}); the queue and the tasks' own records are used"
        return {}


def _judge(
    root: Path, plan: Plan, result: Survey, found: Iterable[tuple[str, Evidence]], silence_seconds: float
) -> None:
    """Set the states of submitted tasks. Of several submissions a live one counts, then the last one."""
    live: set[str] = set()
    submitted: set[str] = set()
    for digest, known in found:
        submitted.add(digest)
        verdict = evidence.judge(known, silence_seconds)
        if known.job and verdict == evidence.LIVE:
            live.add(digest)
            _note_live(result, digest, known.job, known)
        elif digest not in live:
            _note_ended(root, plan.tasks[digest], result, known, verdict)
    for digest in result.having(WAITING, FAILED, UNKNOWN):
        alone = digest not in submitted
        if (alone or result.unasked) and _runs_without_job(root, plan.tasks[digest], silence_seconds):
            result.states[digest] = RUNNING
            result.remarks[digest] = "runs outside SLURM" if alone else "shows signs of life"


def _note_ended(root: Path, task: Task, result: Survey, known: Evidence, verdict: str) -> None:
    """Set the state of a task whose submission is not live. Only a try that came to nothing is a failure: a job that
    sbatch has refused is none, nor is one that the user has cancelled, nor a task that was done and whose files were
    lost since."""
    place = directory(root, task)
    stopped = known.cancelled and not any(map(attempts.reported_by_stage, attempts.read(place)[-1:]))
    ended = WAITING if stopped or attempts.waits(place) else FAILED
    result.states[task.digest] = UNKNOWN if verdict == evidence.UNKNOWN else ended
    result.refused.pop(task.digest, None)
    if verdict == evidence.UNKNOWN and known.sent and not known.asked:
        result.unasked.add(known.sent)
    if not known.was_sent():
        result.states[task.digest] = _local_state(place)
        result.refused |= {task.digest: known.refusal} if known.refusal else {}


def _runs_without_job(root: Path, task: Task, silence_seconds: float) -> bool:
    """Whether a runner that no submission knows of (of a local run, perhaps on another host) shows signs of life."""
    place = directory(root, task)
    alive = place / places.ALIVE
    return alive.exists() and heartbeat.silence(alive, heartbeat.clock(place)) < silence_seconds


def _note_live(result: Survey, digest: str, job: Job, known: Evidence) -> None:
    result.states[digest] = QUEUED if job.is_waiting() or known.waits_for_others() else RUNNING
    result.jobs.add(job.id)
    result.refused.pop(digest, None)
    if job.is_waiting():
        result.pending[digest] = job
    elif job.remark() or known.waits_for_others():
        result.remarks[digest] = job.remark() or known.in_turn()
    if job.was_held_by_slurm():
        result.stuck.add(job.id)


def _mark_newly_done(root: Path, plan: Plan, result: Survey) -> None:
    """Mark the tasks that were finished while SLURM was asked, so that they are not submitted again."""
    for digest in result.having(FAILED, UNKNOWN, RUNNING, QUEUED, WAITING):
        if is_done(root, plan.tasks, plan.tasks[digest]):
            result.states[digest] = DONE


def ready(plan: Plan, survey: Survey) -> Iterable[Task]:
    """The tasks that can start now: not done, not queued or running, and with every input done."""
    for digest in survey.having(WAITING, FAILED):
        task = plan.tasks[digest]
        if all(survey.states[needed] == DONE for needed in task.needs()):
            yield task
