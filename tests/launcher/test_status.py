"""What commands say of refused, failed and queued tasks."""

import io
from pathlib import Path

from rich.console import Console

from lib.artifacts import attempts
from lib.launcher import printing
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import submissions
from lib.running.controllers import Controller
from lib.running.slurm import Job
from lib.running.submissions import Array, Submit
from lib.running.survey import FAILED, QUEUED, WAITING, Survey

TASKS = {
    digest: Task(digest, "count", 1, digest, "count", {}, {}, Resources()) for digest in ("aaa", "bbb", "ccc", "ddd")
}
PLAN = Plan("s", "laptop", "", "s", TASKS, [])
RETRIED = {"aaa": "1 of 3 tries failed; it is tried again"}


def survey_of(root: Path) -> Survey:
    """aaa failed in its attempt, bbb before one, ccc was refused, ddd waits in the queue."""
    place = finished.directory(root, TASKS["aaa"])
    attempts.end(place, attempts.begin(place, None, "c"), 1.0, ValueError("no such luck"))
    array = Array("tessera-1-0", ["bbb"], Resources())
    submit = Submit("1", 0.0, "c", str(root), "", [], [array], {}, "tessera-1-controller")
    file = submissions.write(root, "s", submit)
    submissions.record_jobs(file, {array.name: "7"})
    file.with_suffix("").mkdir()
    (file.with_suffix("") / "7_0_log.out").write_text("begin\nsetup: module load cuda: ended with 127\n\n")
    found = Survey(dict(zip(TASKS, (FAILED, FAILED, WAITING, QUEUED))), {"7"}, refused={"ccc": "Invalid account"})
    found.sent.append((file, submit))
    found.pending["ddd"] = Job("7", "PENDING", "Priority")
    found.controllers.append(Controller(file, submit, Job("8", "PENDING", "JobHeldUser")))
    return found


def test_a_failure_a_retry_and_a_refusal_are_told_apart(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    printing.print_failures(tmp_path, PLAN, survey_of(tmp_path), RETRIED, console)
    refused, failed, output, retried, log = console.file.getvalue().splitlines()
    assert refused == "1 task not submitted: Invalid account"
    assert failed == (
        "failed: count bbb bbb: its job ended before the task began: setup: module load cuda: ended with 127"
    )
    assert output.endswith("/7_0_log.out")
    assert retried == "count aaa aaa: ValueError: no such luck; 1 of 3 tries failed; it is tried again"
    assert log.endswith("/0001.log")


def test_programs_are_told_jobs_controllers_reasons_and_tries(tmp_path: Path) -> None:
    data = printing.status_data(tmp_path, PLAN, survey_of(tmp_path), RETRIED)
    assert [(one["digest"], one["attempts"], one["tried_again"]) for one in data["failed"]] == [
        ("aaa", 1, True),
        ("bbb", 0, False),
    ]
    assert (data["jobs"], data["waiting"], data["refused"]) == (["7"], {"Priority": 1}, {"Invalid account": 1})
    (controller,) = data["controllers"]
    assert tuple(controller.values()) == ("tessera-1-controller", "8", "PENDING", "JobHeldUser", False)
    assert list(controller) == ["name", "job", "state", "reason", "will_act"]


def test_the_reason_of_a_controller_is_explained(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    printing.print_status(PLAN, None, survey_of(tmp_path), console)
    assert "pending JobHeldUser: held by you; `scontrol release JOB`" in console.file.getvalue()


def test_jobs_are_named_in_the_singular_and_the_plural() -> None:
    assert printing.cancelled({"9"}) == "cancelled 1 job: 9"
    assert printing.cancelled({"10", "9"}) == "cancelled 2 jobs: 9, 10"
    assert printing.cancelled(set()) == "nothing is running or waiting"
    assert printing.left_queued([], "x") == "nothing was submitted by this command"
    assert printing.left_queued(["8", submissions.SENDING], "make cancel-s") == (
        "jobs 8, one whose number is not known and, if it was sent, a controller stay queued; make cancel-s ends them"
    )


def test_jobs_that_slurm_is_not_asked_for_are_named_to_users_and_programs(tmp_path: Path) -> None:
    console, found = Console(file=io.StringIO(), width=300), survey_of(tmp_path)
    assert not printing.print_unasked(found, console)
    found.unasked |= {"10", "9", submissions.SENDING}
    printing.print_status(PLAN, None, found, console)
    assert (
        "SLURM, which was not asked, may still have jobs 9, 10, one whose number is not known; where"
        in console.file.getvalue()
    )
    assert printing.status_data(tmp_path, PLAN, found, {})["unasked"] == ["10", "9", "sending"]
