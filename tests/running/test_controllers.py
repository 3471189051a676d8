"""Which controllers in the queue will still act."""

from pathlib import Path

import pytest

from lib.plans.plan import Plan
from lib.running import controllers, submissions
from lib.running.controllers import Controller
from lib.running.slurm import Job

PLAN = Plan("s", "p", "", "t", {}, [])


def controller(folder: Path, job: Job, snapshot: str = "/snapshots/a") -> Controller:
    submit = submissions.Submit("1", 0.0, "c", str(folder), snapshot, ["submit"], [], {}, "tessera-1-controller")
    return Controller(folder / "1.json", submit, job)


@pytest.mark.parametrize(
    ("state", "reason", "acts"),
    [
        ("PENDING", "Dependency", True),
        ("PENDING", "Priority", True),
        ("RUNNING", "None", True),
        ("CONFIGURING", "None", True),
        ("COMPLETING", "None", False),
        ("STAGE_OUT", "None", False),
        ("PENDING", "JobHeldAdmin", False),
        ("PENDING", "launch failed requeued held", False),
        ("PENDING", "DependencyNeverSatisfied", False),
    ],
)
def test_a_controller_counts_while_it_will_act(tmp_path: Path, state: str, reason: str, acts: bool) -> None:
    found = controller(tmp_path, Job("7", state, reason))
    assert found.will_act() == acts
    controllers.record_acted(found.file)
    assert not found.will_act()


def test_it_stands_for_the_same_tasks_and_code(tmp_path: Path) -> None:
    found = controller(tmp_path, Job("7", "PENDING"))
    assert found.stands_for(PLAN, Path("/snapshots/a"))
    assert not found.stands_for(PLAN, Path("/snapshots/b"))
    other = Plan("s", "p", "", "t", {"0123456789ab": None}, [])
    assert not found.stands_for(other, Path("/snapshots/a"))
