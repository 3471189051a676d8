"""The state of every task of a plan: done, running, queued, waiting, failed or unknown."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, store
from lib.artifacts.lock import held
from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Plan, Task
from lib.running import slurm, submissions

DONE, RUNNING, QUEUED, UNKNOWN, FAILED, WAITING = "done", "running", "queued", "unknown", "failed", "waiting"
STATES = (DONE, RUNNING, QUEUED, UNKNOWN, FAILED, WAITING)
MAX_ATTEMPTS = 10  # of one task in one campaign, even if it fails in different ways


@dataclass
class Survey:
    """The state of every task, and the jobs of the sweep."""

    states: dict[str, str] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    controllers: dict[str, list[str]] = field(default_factory=dict)  # job name -> the command that it repeats
    queued: int = 0  # all jobs of the user; asked only if max_submit_jobs is set
    trouble: str = ""  # why SLURM could not be asked

    def having(self, *states: str) -> list[str]:
        """The digests in one of these states, in the plan's order."""
        return [digest for digest, state in self.states.items() if state in states]

    def all_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(state == DONE for state in self.states.values())


def local(root: Path, plan: Plan) -> Survey:
    """The states by the files on this machine, without asking SLURM."""
    finished = done(root, plan)
    states = {}
    for digest, task in plan.tasks.items():
        states[digest] = DONE if digest in finished else _local_state(directory(root, task))
    return Survey(states)


def cluster(root: Path, plan: Plan) -> Survey:
    """The states by the files and by SLURM.

    Raises slurm.SchedulerUnavailable if SLURM cannot be asked.
    """
    result = local(root, plan)
    every = submissions.all_of(root, plan.name)
    submits = [(file, submit) for file, submit in every if _concerns(submit, result.states)]
    queued = slurm.queue()
    _note_controllers(result, root, plan.name, queued)
    open_names = [array.name for _, submit in submits for array in submit.arrays]
    states = slurm.history(open_names, min((submit.created for _, submit in submits), default=time.time()))
    for file, submit in submits:
        _judge_submit(result, submissions.jobs(file), submit, queued, states)
    _mark_newly_done(root, plan, result)
    return result


def failures(root: Path, task: Task, campaign: str) -> tuple[int, str]:
    """How many times in a row the task has failed with the same error in this campaign, and that error.

    An attempt that was cut off (time limit, preemption, lost node) is not a failure if it got further than all before
    it, and the count starts again. After MAX_ATTEMPTS failures all of them count, whatever their errors.
    """
    place = directory(root, task)
    records = [record for record in attempts.read(place) if record.get("campaign") == campaign]
    tries = [record for record in records if attempts.is_failure(record)]
    if not tries:
        return 0, ""
    further = _went_further(tries, attempts.progress(place))
    errors = ["" if moved else _error(record) for record, moved in zip(tries, further)]
    last = _error(tries[-1])
    streak = next((i for i, error in enumerate(reversed(errors)) if error != last), len(errors))
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
    tries = attempts.read(path)
    return FAILED if tries and attempts.is_failure(tries[-1]) else WAITING  # done: files of it are gone since


def _concerns(submit: submissions.Submit, states: dict[str, str]) -> bool:
    return any(states.get(digest, DONE) != DONE for array in submit.arrays for digest in array.digests)


def _judge_submit(result: Survey, jobs: dict[str, str], submit: submissions.Submit, queued: dict, states: dict) -> None:
    age = time.time() - submit.created
    for array in submit.arrays:
        for index, digest in enumerate(array.digests):
            if result.states.get(digest, DONE) == DONE:
                continue
            element = (array.name, index)
            verdict = slurm.judge(element, queued, states, jobs.get(array.name), age)
            if verdict == slurm.LIVE:
                job, state = queued.get(element, (jobs.get(array.name, ""), ""))
                result.states[digest] = QUEUED if state == "PENDING" else RUNNING
                result.jobs.add(job)
            elif result.states[digest] not in (RUNNING, QUEUED):  # of several submissions the last one counts
                result.states[digest] = UNKNOWN if verdict == slurm.UNKNOWN else FAILED


def _mark_newly_done(root: Path, plan: Plan, result: Survey) -> None:
    """Mark the tasks that were finished while SLURM was asked, so that they are not submitted again."""
    for digest in result.having(FAILED, UNKNOWN, RUNNING, QUEUED):
        if store.is_done(directory(root, plan.tasks[digest]), digest):
            result.states[digest] = DONE


def _note_controllers(result: Survey, root: Path, sweep: str, queued: dict) -> None:
    known = {submit.controller: submit.command for _, submit in submissions.all_of(root, sweep) if submit.controller}
    result.controllers = {name: known[name] for name, _ in queued if name in known}


def ready(plan: Plan, survey: Survey) -> Iterable[Task]:
    """The tasks that can start now: not done, not queued or running, and with every input done."""
    for digest in survey.having(WAITING, FAILED):
        task = plan.tasks[digest]
        if all(survey.states[needed] == DONE for needed in task.needs()):
            yield task
