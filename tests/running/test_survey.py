"""How often a task failed in the same way: an attempt that was cut off but got further is not a failure.

And what several submissions of a task say together.
"""

import os
import time
from pathlib import Path

import pytest

from lib.artifacts import attempts, checkpoints
from lib.base import places
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import slurm, submissions, survey
from lib.running.slurm import Job
from lib.running.submissions import Array, Submit

CAMPAIGN = "one"
TASK = Task("0123456789ab", "count", 1, "n1", "count", {}, {}, Resources())


class Artifact:
    """An artifact whose attempts begin, get somewhere and end."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, finished.directory(root, TASK)

    def attempt(self, error: str | None = None, blocks: int = 0, step: int = 0, campaign: str = CAMPAIGN) -> None:
        """One attempt that stores so many more blocks, or a checkpoint; without an error it is cut off."""
        self.begin(campaign)
        self.store(blocks)
        if step:
            self.checkpoint(step)
        if error:
            attempts.end(self.path, self.record, 1.0, ValueError(error))

    def begin(self, campaign: str = CAMPAIGN) -> None:
        self.record = attempts.begin(self.path, None, campaign)

    def store(self, blocks: int) -> None:
        folder = self.path / places.BLOCKS
        folder.mkdir(exist_ok=True)
        there = len(list(folder.iterdir()))
        for number in range(there, there + blocks):
            (folder / f"{number:04d}.h5").touch()

    def checkpoint(self, step: int) -> None:
        folder = self.path / places.CHECKPOINTS / f"{checkpoints.PREFIX}{step}"
        folder.mkdir(parents=True)
        checkpoints.complete(folder, {})

    def failures(self) -> tuple[int, str]:
        return survey.failures(self.root, TASK, CAMPAIGN)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return Artifact(tmp_path)


def test_without_an_attempt_there_is_no_failure(artifact) -> None:
    assert artifact.failures() == (0, "")
    artifact.attempt("of another campaign", campaign="two")
    assert artifact.failures() == (0, "")


def test_the_same_error_in_a_row_is_counted(artifact) -> None:
    for error, count in (("a", 1), ("a", 2), ("b", 1), ("a", 1), ("a", 2)):
        artifact.attempt(error)
        assert artifact.failures() == (count, f"ValueError: {error}")


def test_attempts_cut_off_without_progress_are_counted(artifact) -> None:
    for count in (1, 2, 3):
        artifact.attempt()
        assert artifact.failures() == (count, "killed: it ended without a message")


@pytest.mark.parametrize("progress", [{"blocks": 1}, {"step": 1}])
def test_attempts_cut_off_with_progress_are_not(artifact, progress) -> None:
    for number in range(1, 2 * survey.MAX_ATTEMPTS):
        artifact.attempt(**{key: number if key == "step" else 1 for key in progress})
        assert artifact.failures() == (0, "killed: it ended without a message")


def test_what_the_runner_reports_of_a_killed_stage_is_not_its_own_error(artifact) -> None:
    for number in range(1, 6):
        artifact.begin()
        attempts.close(artifact.path, artifact.record["number"], "ended with signal SIGTERM")
        assert artifact.failures() == (number, "ended with signal SIGTERM")
    artifact.begin()
    artifact.store(1)
    attempts.close(artifact.path, artifact.record["number"], "ended with signal SIGTERM")
    assert artifact.failures() == (0, "ended with signal SIGTERM")


def test_progress_begins_the_count_anew(artifact) -> None:
    for blocks, count in ((0, 1), (0, 2), (3, 0), (0, 1), (0, 2), (1, 0)):
        artifact.attempt(blocks=blocks)
        assert artifact.failures()[0] == count


def test_an_error_counts_whatever_was_done_before_it(artifact) -> None:
    for count in (1, 2, 3):
        artifact.attempt("no such luck", blocks=5)
        assert artifact.failures() == (count, "ValueError: no such luck")


def test_an_error_that_another_rank_reported_counts(artifact) -> None:
    for count in (1, 2):
        artifact.begin()
        artifact.store(1)
        attempts.close_last(artifact.path, "rank 1: ValueError: no such luck")
        assert artifact.failures() == (count, "rank 1: ValueError: no such luck")


def test_work_lost_and_done_again_is_not_progress(artifact) -> None:
    artifact.attempt(blocks=2)
    for count in (1, 2, 3):
        artifact.begin()
        for block in (artifact.path / places.BLOCKS).iterdir():
            block.unlink()
        artifact.store(2)
        assert artifact.failures()[0] == count


def test_half_written_blocks_and_checkpoints_are_not_progress(artifact) -> None:
    for count in (1, 2, 3):
        artifact.attempt()
        (artifact.path / places.BLOCKS / f"{places.PRIVATE}host-{count}-0.h5").touch()
        (artifact.path / places.CHECKPOINTS / f"{checkpoints.PREFIX}{count}").mkdir(parents=True)
        assert artifact.failures()[0] == count


def test_failures_of_many_kinds_end_all_the_same(artifact) -> None:
    for number in range(survey.MAX_ATTEMPTS):
        assert artifact.failures()[0] <= 1
        artifact.attempt(str(number))
        artifact.attempt(blocks=1)
    artifact.attempt("another")
    assert artifact.failures()[0] > survey.MAX_ATTEMPTS


@pytest.mark.parametrize("sweep", ["toy", "twin"])
def test_the_last_submission_says_whether_a_task_has_ended_whatever_sweep_sent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: str
) -> None:
    """One sweep's job failed an hour ago; whether SLURM has taken the one that the other sent just now is not known."""
    other = {"toy": "twin", "twin": "toy"}[sweep]
    for name, seconds, answer in ((sweep, 3600, "17"), (other, 0, submissions.SENDING)):
        array = Array(places.job(name, name, 0), [TASK.digest], TASK.resources)
        submit = Submit(name, time.time() - seconds, CAMPAIGN, str(tmp_path), "", [], [array], {TASK.digest: TASK})
        file = submissions.write(tmp_path, name, submit)
        submissions.record_jobs(file, {array.name: answer})
        os.utime(places.submit_jobs(file), (time.time() - seconds,) * 2)
    monkeypatch.setattr(slurm, "queue", dict)
    monkeypatch.setattr(slurm, "history", lambda *asked: {(places.job(sweep, sweep, 0), 0): "FAILED"})
    plan = Plan("toy", "laptop", "", "toy", {TASK.digest: TASK}, [])
    found = survey.cluster(tmp_path, plan, silence_seconds=180.0)
    assert found.states == {TASK.digest: survey.UNKNOWN}
    assert [submit.id for _, submit in found.sent] == [sweep, other]


ONE = Plan("toy", "laptop", "", "toy", {TASK.digest: TASK}, [])


def surveyed(monkeypatch: pytest.MonkeyPatch, root: Path, **queued: Job) -> survey.Survey:
    """What is found with these jobs in the queue (array or controller -> job); all others completed."""
    monkeypatch.setattr(
        slurm, "queue", lambda: {(places.job("toy", "1", name), 0): job for name, job in queued.items()}
    )
    monkeypatch.setattr(slurm, "history", lambda *asked: {(places.job("toy", "1", 0), 0): "FAILED"})
    return survey.cluster(root, ONE, silence_seconds=180.0)


def submitted(root: Path, answer: str, refusal: str = "", command: tuple[str, ...] = ("submit", "toy")) -> None:
    """Submission 1, of which sbatch has said `answer`."""
    array, controller = (
        Array(places.job("toy", "1", 0), [TASK.digest], TASK.resources),
        places.job("toy", "1", "controller"),
    )
    tasks = {TASK.digest: TASK}
    submit = Submit("1", time.time(), CAMPAIGN, str(root), "", list(command), [array], tasks, controller)
    file = submissions.write(root, ONE.run, submit)
    submissions.record_jobs(file, {array.name: answer})
    if refusal:
        submissions.record_refused(file, refusal)


def test_what_sbatch_refused_waits_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(tmp_path, submissions.REFUSED, "Invalid account")
    found = surveyed(monkeypatch, tmp_path)
    assert found.states == {TASK.digest: survey.WAITING}
    assert found.refused == {TASK.digest: "Invalid account"}
    assert survey.retried(tmp_path, ONE, found) == {}
    Artifact(tmp_path).attempt("no such luck", campaign="an earlier one")
    found = surveyed(monkeypatch, tmp_path)
    assert (found.states[TASK.digest], found.refused) == (survey.FAILED, {TASK.digest: "Invalid account"})


def test_what_was_done_and_lost_its_files_waits_and_has_not_failed(tmp_path: Path, monkeypatch) -> None:
    submitted(tmp_path, "17")
    assert surveyed(monkeypatch, tmp_path).states == {TASK.digest: survey.FAILED}  # its job has left nothing
    artifact = Artifact(tmp_path)
    artifact.begin()
    attempts.end(artifact.path, artifact.record, 1.0, None)
    assert surveyed(monkeypatch, tmp_path).states == {TASK.digest: survey.WAITING}


@pytest.mark.parametrize(("flags", "most"), [((), 3), (("--max-failures=2",), 2)])
def test_a_failure_is_tried_again_as_long_as_a_controller_will(tmp_path: Path, monkeypatch, flags, most) -> None:
    submitted(tmp_path, "17", command=("submit", "toy", *flags))
    waits, stuck = Job("18", "PENDING", "Dependency"), Job("18", "PENDING", "DependencyNeverSatisfied")
    for count in range(1, most + 1):
        Artifact(tmp_path).attempt("no such luck")
        found = surveyed(monkeypatch, tmp_path, controller=waits)
        again = {TASK.digest: f"{count} of {most} tries failed; it is tried again"} if count < most else {}
        assert survey.retried(tmp_path, ONE, found) == again
        assert survey.retried(tmp_path, ONE, surveyed(monkeypatch, tmp_path, controller=stuck)) == {}
        assert survey.retried(tmp_path, ONE, surveyed(monkeypatch, tmp_path)) == {}


def test_the_other_runs_of_a_sweep_are_found_and_no_other_sweep_s(tmp_path: Path) -> None:
    for run in ("toy", "toy--paper", "toy--smoke--seeds-2-0123abcd", "toys--paper"):
        places.submits(tmp_path, run).mkdir(parents=True)
    assert submissions.other_runs(tmp_path, "toy--paper") == ["toy", "toy--smoke--seeds-2-0123abcd"]
    assert submissions.other_runs(tmp_path, "demo") == []


@pytest.mark.parametrize("reported", [False, True])
def test_what_the_user_has_cancelled_did_not_fail_unless_its_stage_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: bool
) -> None:
    array = Array(places.job("toy", "1", 0), [TASK.digest], TASK.resources)
    submit = Submit("1", time.time(), CAMPAIGN, str(tmp_path), "", [], [array], {TASK.digest: TASK})
    file = submissions.write(tmp_path, ONE.run, submit)
    submissions.record_jobs(file, {array.name: "17"})
    assert survey.without_slurm(tmp_path, ONE).unasked == {"17"}
    place = finished.directory(tmp_path, TASK)
    record = attempts.begin(place, None, CAMPAIGN, "1")
    attempts.close(place, record["number"], "ended by SIGTERM", reported_by_stage=reported)
    assert survey.without_slurm(tmp_path, ONE).unasked == set()
    assert surveyed(monkeypatch, tmp_path).states == {TASK.digest: survey.FAILED}
    submissions.record_cancelled(tmp_path, ONE.run)
    assert surveyed(monkeypatch, tmp_path).states == {TASK.digest: survey.FAILED if reported else survey.WAITING}


def test_without_slurm_only_what_the_files_tell_is_known(tmp_path: Path) -> None:
    """A job that was sent may live, until its end is recorded, a later command has tried, or the user has cancelled."""

    def state() -> tuple[str, set[str]]:
        found = survey.without_slurm(tmp_path, ONE)
        return found.states[TASK.digest], found.unasked

    assert state() == (survey.WAITING, set())
    submitted(tmp_path, submissions.REFUSED, "Invalid account")
    assert state() == (survey.WAITING, set())
    submissions.record_jobs(
        places.submit_file(tmp_path, ONE.run, "1"), {places.job("toy", "1", 0): submissions.SENDING}
    )
    assert state() == (survey.UNKNOWN, {submissions.SENDING})
    place = finished.directory(tmp_path, TASK)
    earlier = attempts.begin(place, None, CAMPAIGN, "0")
    attempts.begin(place, None, CAMPAIGN, "1")
    attempts.close(place, earlier["number"], "killed")
    assert state() == (survey.UNKNOWN, {submissions.SENDING})
    (place / places.ALIVE).touch()
    assert state() == (survey.RUNNING, {submissions.SENDING})
    os.utime(place / places.ALIVE, (1, 1))
    assert state() == (survey.UNKNOWN, {submissions.SENDING})
    later = attempts.begin(place, None, CAMPAIGN, "2")  # of a run on this machine
    attempts.close(place, later["number"], "no such luck")
    assert state() == (survey.FAILED, set())
    places.attempt(place, later["number"], "json").unlink()
    submissions.record_cancelled(tmp_path, ONE.run)
    assert state() == (survey.WAITING, set())
