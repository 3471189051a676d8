"""The question before a submission to a cluster."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lib.base.errors import TesseraError
from lib.costs import devices
from lib.launcher import confirm, terminal
from lib.launcher.sweep import Sweep
from lib.plans.costing import Cost
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import ending, slurm, submissions
from lib.running.site import Cluster
from lib.running.submissions import Array, Submit

TASKS = {
    "aaa": Task("aaa", "books", 1, "", "books", {}, {}, Resources(expected_hours=0.5)),
    "bbb": Task("bbb", "train", 1, "", "trained", {}, {"books": "aaa"}, Resources(gpus=2, expected_hours=3)),
    "ccc": Task("ccc", "score", 1, "", "scored", {}, {"model": "bbb"}, Resources(gpus=1, expected_hours=1)),
}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    costs = {"aaa": Cost(), "bbb": Cost(results_gb=2, computed=True), "ccc": Cost(computed=True)}
    return Sweep(Plan("s", "p", "", "", TASKS, [], costs), Cluster("c"), tmp_path, devices.find(None, ""))


def asked(sweep: Sweep, answer: str | None, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The question, and what was printed."""
    questions: list[str] = []
    monkeypatch.setattr(terminal, "ask", lambda question: questions.append(question) or answer)
    console = Console(file=io.StringIO(), width=300)
    confirm.ask(sweep, console)
    return "".join(questions), console.file.getvalue()


def submitted(sweep: Sweep, tasks: dict[str, Task], arrays: list[Array], answer: str = "7", run: str = "s") -> None:
    """answer: what became of the arrays: a job id, SENDING or REFUSED."""
    identity = submissions.new_id()
    made = Submit(identity, time.time(), identity, str(sweep.root), "code", [], arrays, tasks)
    file = submissions.write(sweep.root, run, made)
    if arrays:
        submissions.record_jobs(file, {array.name: answer for array in arrays})


def test_the_question_says_the_cost_and_only_yes_goes_on(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    question, printed = asked(sweep, " Yes\n", monkeypatch)
    assert "3 new tasks from books to score: 7.0 GPU hours and 0.5 hours without a GPU expected, 2.0 GB" in question
    assert printed == ""
    for answer in ("n\n", "\n", "", "maybe\n"):  # "" is the end of input
        with pytest.raises(TesseraError, match=r"nothing was submitted; .* --yes, or make \.\.\. YES=1"):
            asked(sweep, answer, monkeypatch)


@pytest.mark.parametrize(
    ("resources", "small"),
    [
        (Resources(cpus=4, expected_hours=2.5), True),
        (Resources(cpus=4, expected_hours=2.6), False),
        (Resources(ranks=160, mpi=True, expected_hours=0.1), False),
        (Resources(gpus=1), False),  # even one whose hours are not known
    ],
)
def test_without_a_terminal_only_little_is_submitted_without_yes(sweep, monkeypatch, resources, small) -> None:
    plan = replace(sweep.plan, tasks={"aaa": replace(TASKS["aaa"], resources=resources)})
    if small:
        printed = asked(replace(sweep, plan=plan), None, monkeypatch)[1]
        assert printed.endswith("Submitting without a question: no terminal is there, and little is asked for\n")
        assert printed.count("\n") == 1
    else:
        with pytest.raises(TesseraError, match=r"1 new tasks of books: .*\. Nothing was submitted.*YES=1, or --yes"):
            asked(replace(sweep, plan=plan), None, monkeypatch)


def test_what_a_cluster_was_given_before_is_not_asked_about_again(sweep: Sweep, monkeypatch) -> None:
    submitted(sweep, TASKS, [])  # a run on this machine
    assert "3 new tasks" in asked(sweep, "y", monkeypatch)[0]
    submitted(sweep, {"bbb": TASKS["bbb"]}, [Array("a", ["bbb"], TASKS["bbb"].resources)])
    assert "2 new tasks from books to score: 1.0 GPU hours" in asked(sweep, "y", monkeypatch)[0]
    submitted(sweep, TASKS, [Array("a", ["aaa"], TASKS["aaa"].resources)])
    assert asked(sweep, None, monkeypatch) == ("", "")
    later = replace(sweep, plan=replace(sweep.plan, tasks={**TASKS, "ddd": replace(TASKS["aaa"], digest="ddd")}))
    later.plan.costs["ddd"] = Cost()
    assert "1 new tasks of books: 0.5 hours without a GPU" in asked(later, "y", monkeypatch)[0]


@pytest.mark.parametrize("answer", [submissions.REFUSED, submissions.SENDING, "7"])
def test_a_refused_submission_accepts_nothing(sweep: Sweep, monkeypatch, answer: str) -> None:
    """One whose answer is not known may have been taken."""
    submitted(sweep, TASKS, [Array("a", ["aaa"], TASKS["aaa"].resources)], answer)
    question = asked(sweep, "y", monkeypatch)[0]
    assert ("3 new tasks" in question) == (answer == submissions.REFUSED)
    assert bool(question) == (answer == submissions.REFUSED)


def test_a_cancel_withdraws_what_was_accepted_until_it_is_accepted_again(sweep: Sweep, monkeypatch) -> None:
    """What another sweep has submitted stays accepted."""
    array = [Array("a", ["aaa"], TASKS["aaa"].resources)]
    monkeypatch.setattr(slurm, "queue", dict)
    submitted(sweep, {"ccc": TASKS["ccc"]}, array, run="another")
    submitted(sweep, TASKS, array)
    assert asked(sweep, "y", monkeypatch)[0] == ""
    assert ending.cancel_jobs(sweep.root, "s") == set()
    assert "2 new tasks from books to train" in asked(sweep, "y", monkeypatch)[0]
    submitted(sweep, TASKS, array)
    assert asked(sweep, "y", monkeypatch)[0] == ""
