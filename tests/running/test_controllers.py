"""Which controllers in the queue will still act."""

from pathlib import Path

import pytest

from lib.base import places
from lib.base.errors import TesseraError
from lib.plans.plan import Plan
from lib.running import controllers, runner, submissions
from lib.running.controllers import Controller
from lib.running.slurm import Job

PLAN = Plan("s", "p", "", "t", {}, [])


def controller(folder: Path, job: Job, snapshot: str = "/snapshots/a") -> Controller:
    submit = submissions.Submit("1", 0.0, "c", str(folder), snapshot, ["submit"], [], {}, "tessera-1-controller")
    return Controller(folder / "1.json", submit, job)


@pytest.mark.parametrize(
    ("state", "reason", "before", "after"),
    [
        ("PENDING", "Dependency", True, True),  # after it has acted: it has been put back into the queue
        ("PENDING", "Priority", True, True),
        ("REQUEUED", "", True, True),
        ("RUNNING", "None", True, False),
        ("SUSPENDED", "None", True, False),
        ("CONFIGURING", "None", True, False),
        ("COMPLETING", "None", False, False),
        ("STAGE_OUT", "None", False, False),
        ("PENDING", "JobHeldAdmin", False, False),
        ("PENDING", "launch failed requeued held", False, False),
        ("PENDING", "DependencyNeverSatisfied", False, False),
        ("SPECIAL_EXIT", "", False, False),
    ],
)
def test_a_controller_counts_while_it_will_act(
    tmp_path: Path, state: str, reason: str, before: bool, after: bool
) -> None:
    found = controller(tmp_path, Job("7", state, reason))
    assert found.will_act() == before
    controllers.record_acted(found.file)
    assert found.will_act() == after


def test_its_second_life_takes_back_the_note_of_the_first_and_its_end_is_noted_whatever_it_was(tmp_path: Path) -> None:
    """The command that it runs fails at once: with 3 if the note of the first life is gone, with 4 otherwise."""
    file = submissions.write(tmp_path, "s", controller(tmp_path, Job("7", "RUNNING"), str(tmp_path)).submit)
    acted = places.submit_acted(file)
    controllers.record_acted(file)
    script = f"import pathlib, sys\nsys.exit(4 if pathlib.Path({str(acted)!r}).exists() else 3)\n"
    (tmp_path / "launch.py").write_text(script)
    with pytest.raises(TesseraError, match="exit code 3"):
        runner.run_controller(file, submissions.read(file))
    assert acted.exists()


def test_it_stands_for_the_same_tasks_and_code(tmp_path: Path) -> None:
    found = controller(tmp_path, Job("7", "PENDING"))
    assert found.stands_for(PLAN, Path("/snapshots/a"))
    assert not found.stands_for(PLAN, Path("/snapshots/b"))
    other = Plan("s", "p", "", "t", {"0123456789ab": None}, [])
    assert not found.stands_for(other, Path("/snapshots/a"))
