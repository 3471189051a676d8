"""The fake SLURM beside (fakes/), from the side of a test: its jobs, its faults, what it allows."""

import json
from pathlib import Path

from tests.support.toys import wait_for


class FakeSite:
    """The state of the fake SLURM and its faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "faults").mkdir(parents=True)
        (root / "jobs").mkdir()

    def fault(self, command: str, kind: str) -> None:
        (self.root / "faults" / command).write_text(kind)

    def allow(self, **policy) -> None:
        """Set what the site allows (see fakeslurm.policy)."""
        (self.root / "policy.json").write_text(json.dumps(policy))

    def mend(self) -> None:
        for file in (self.root / "faults").iterdir():
            file.unlink()

    def hold(self) -> None:
        (self.root / "hold").touch()

    def release(self) -> None:
        (self.root / "hold").unlink()

    def ask(self, job: int, element: str, wish: str) -> None:
        file = self.root / "jobs" / str(job) / f"{element}.asked"
        file.with_suffix(".new").write_text(wish)  # never seen half-written
        file.with_suffix(".new").rename(file)

    def jobs(self) -> list[dict]:
        files = (self.root / "jobs").glob("*/job.json")
        return sorted((json.loads(file.read_text()) for file in files), key=lambda job: job["id"])

    def arrays(self) -> list[dict]:
        return [job for job in self.jobs() if not job["job-name"].endswith(".controller")]

    def runs(self, job: int, element: str) -> int:
        file = self.root / "jobs" / str(job) / f"{element}.runs"
        return file.stat().st_size if file.exists() else 0

    def live(self) -> bool:
        states = [file.read_text() for file in (self.root / "jobs").glob("*/*.state")]
        return any(state in ("PENDING", "RUNNING") for state in states)

    def end(self) -> None:
        for job in self.jobs():
            for element in job["elements"]:
                self.ask(job["id"], element, "cancel")
        wait_for(lambda: not self.live(), "the end of all fake jobs")
