"""A sweep on a site that forbids what it can (support/strict_site.py), on a file system without locks."""

import os
from pathlib import Path

import pytest

from tests.support import strict_site, toys
from tests.support.fake_site import FakeSite
from tests.support.toys import Toy, expected

NO_LOCKS = "raise OSError(errno.ENOLCK, 'No locks available')"


@pytest.fixture
def toy(tmp_path: Path):
    site = FakeSite(tmp_path / "site")
    site.allow(**strict_site.POLICY)
    toy = toys.make(tmp_path / "checkout")
    toy.environment |= {"FAKE_SLURM": str(site.root), "PATH": f"{toys.FAKES}:{os.environ['PATH']}", "TZ": "UTC"}
    (toy.root / "env" / "clusters" / "toy.yaml").write_text(strict_site.CLUSTER)
    lock = toy.root / "lib" / "artifacts" / "lock.py"
    text = lock.read_text()
    assert text.count("fcntl.flock(file, operation)") == 1
    lock.write_text(text.replace("fcntl.flock(file, operation)", NO_LOCKS))
    yield toy
    site.end()


def test_one_command_runs_a_sweep_to_its_table(toy: Toy) -> None:
    answer = toy.submit()
    assert "this command stays" in answer.stdout
    assert toy.totals() == expected(1, 2, 3)
    for stage in ("count", "total"):
        assert all(outcomes == ["done"] for outcomes in toy.attempts(stage).values())
    assert "already" not in answer.stderr
