"""Controllers in the queue: jobs that repeat the launcher's command, and whether they will still do so."""

from dataclasses import dataclass
from pathlib import Path

from lib.base import files, places
from lib.plans.plan import Plan
from lib.running.slurm import ENDING, Job
from lib.running.submissions import Submit

MAX_FAILURES = 3  # of a task in the same way, where the command does not say
MAX_FAILURES_FLAG = "--max-failures"


@dataclass(frozen=True)
class Controller:
    """The controller of one submission, and its job."""

    file: Path
    submit: Submit
    job: Job

    @property
    def name(self) -> str:
        """The name of its job."""
        return self.submit.controller or ""

    @property
    def max_failures(self) -> int:
        """How often a task may fail in the same way before it stops."""
        given = (word.partition("=")[2] for word in self.submit.command if word.startswith(f"{MAX_FAILURES_FLAG}="))
        return int(next(given, MAX_FAILURES))

    def will_act(self) -> bool:
        """Whether it will still look at the sweep: it has not done so, and nothing keeps it from starting.

        One that waits has been put back into the queue if it has acted before, and acts again.
        """
        if self.job.is_waiting():
            return not self.job.is_stuck()
        return self.job.state not in ENDING and not places.submit_acted(self.file).exists()

    def stands_for(self, plan: Plan, snapshot: Path) -> bool:
        """Whether it works on the same tasks with the same code."""
        return self.submit.tasks.keys() == plan.tasks.keys() and Path(self.submit.snapshot) == snapshot

    def unfit(self, plan: Plan, snapshot: Path) -> str:
        """Why it cannot go on with these tasks and this code."""
        if Path(self.submit.snapshot) != snapshot:
            return "the code, the sweeps or the cluster files have changed since"
        if not self.stands_for(plan, snapshot):
            return "the tasks of the sweep have changed since"
        return f"SLURM will not start it ({self.job.remark()})"


def record_acted(submit_file: Path) -> None:
    """Note that the controller of a submission has done all that it will do."""
    files.write_bytes(places.submit_acted(submit_file), b"")


def forget_acted(submit_file: Path) -> None:
    """Note that the controller of a submission acts again: SLURM has put its job back into the queue."""
    places.submit_acted(submit_file).unlink(missing_ok=True)
