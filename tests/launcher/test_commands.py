"""Results that were damaged on the disk: found by who reads them, made again by the command that is typed anyway."""

import shutil
import signal
import time
from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from lib.base import lease, places
from lib.base.errors import TesseraError
from lib.base.interrupts import Interrupted
from lib.costs import devices
from lib.launcher import commands, confirm
from lib.launcher.sweep import Sweep
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import submissions
from lib.running.container import Container
from lib.running.site import Cluster
from lib.running.submissions import Submit
from tests.support import toys
from tests.support.toys import Toy, expected


def artifact(toy: Toy, stage: str, number: int) -> Path:
    """The folder of a count, or of the total that was made from it."""
    (count,) = (toy.outputs / "store" / "count").glob(f"n{number}-*")
    if stage == "count":
        return count
    digest = count.name.rpartition("-")[2]
    done = (toy.outputs / "store" / "total").glob("*/DONE.json")
    return next(file.parent for file in done if digest in file.read_text())


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_the_same_command_makes_what_was_damaged_again_and_says_so(tmp_path: Path) -> None:
    toy = toys.make(tmp_path / "checkout")
    toy.submit("--cluster=local")
    flip(artifact(toy, "count", 1) / "count.h5")
    shutil.rmtree(artifact(toy, "total", 1))  # it reads the count again
    flip(artifact(toy, "total", 2) / "total.h5")  # found when tables are made
    toy.table.unlink()
    said = " ".join(toy.submit("--cluster=local").stdout.split())
    assert toy.totals() == expected(1, 2, 3)
    assert "set back total" in said
    assert "count.h5: not what was written (checksum)" in said
    assert "total.h5: not what was written (checksum); it is made again" in said
    assert sorted(map(len, toy.attempts("count").values())) == [1, 1, 2]
    assert sorted(toy.attempts("total").values()) == [["done"], ["done", "done"], ["set back", "done"]]
    assert len(list(toy.outputs.glob("store/*/*/.damaged-*"))) == 2
    flip(artifact(toy, "total", 3) / "total.h5")
    answer = toy.launch("collect", "--cluster=local")
    assert answer.returncode == 1
    assert "total.h5: not what was written (checksum); run the sweep again" in " ".join(answer.stderr.split())
    assert not (artifact(toy, "total", 3) / "total.h5").exists()


@pytest.mark.parametrize(("jobs", "said"), [(None, "no task was"), ({}, "nothing was"), ({"a": "8"}, "job 8 and")])
def test_ctrl_c_says_what_was_submitted(tmp_path: Path, monkeypatch, capsys, jobs: dict | None, said: str) -> None:
    """jobs: those that were sent until then; None: the sweep was still being planned."""
    sweep = Sweep(Plan("s", "laptop", "", "s", {}, []), Cluster("c"), tmp_path, devices.find(None, ""))
    arguments = Namespace(controller=None, campaign="1", cluster=None, outputs=tmp_path, notify=None)
    file = submissions.write(tmp_path, "s", Submit("1", time.time(), "1", str(tmp_path), "", [], [], {}))
    submissions.record_jobs(file, jobs or {})

    def interrupted(*given: object) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(commands, "_prepared", lambda *given: interrupted() if jobs is None else sweep)
    monkeypatch.setattr(commands, "_run", interrupted)
    with pytest.raises(Interrupted):
        commands.submit(arguments, Console())
    words = capsys.readouterr().err
    assert words.startswith(said)
    assert ("make cancel-s PROFILE=laptop OUTPUTS=" in words) == bool(jobs)


def test_a_run_that_goes_on_is_said_before_anything_else(tmp_path: Path, monkeypatch, capsys) -> None:
    sweep = Sweep(Plan("s", "laptop", "", "s", {}, []), None, tmp_path, devices.find(None, ""))
    monkeypatch.setattr(commands, "load", lambda arguments: sweep)
    with lease.hold(places.lock(tmp_path, "s")), pytest.raises(TesseraError, match="is held by process"):
        commands._prepared(Namespace(controller=None), Console())
    assert capsys.readouterr().out == ""


def test_a_partial_collection_says_first_what_is_missing(tmp_path: Path, monkeypatch, capsys) -> None:
    lacking = Task("aaa", "score", 1, "", "scores", {}, {}, Resources())
    sweep = Sweep(Plan("s", "laptop", "", "s", {"aaa": lacking}, []), None, tmp_path, devices.find(None, ""))
    monkeypatch.setattr(commands, "load", lambda arguments: sweep)
    monkeypatch.setattr(commands.collection, "run", lambda root, plan, console: console.print("tables"))
    assert commands.collect(Namespace(partial=True), Console()) == 1
    missing, partial, tables = capsys.readouterr().out.splitlines()
    assert missing == "missing: score  aaa"
    assert (partial, tables) == ("1 of 1 task is missing: tables and report are partial", "tables")


@pytest.mark.parametrize(("controller", "there"), [(None, False), (None, True), ("c", False)])
def test_an_image_that_is_not_there_ends_the_command_before_it_asks(tmp_path, monkeypatch, controller, there) -> None:
    """A controller runs on a node, and does not look."""
    image, asked = tmp_path / "tessera.sif", []
    site = Cluster("c", container=Container(str(image)), file="/home/me/c.yaml")
    sweep = Sweep(Plan("s", "laptop", "", "s", {}, []), site, tmp_path, devices.find(None, ""))
    monkeypatch.setattr(commands, "load", lambda arguments: sweep)
    monkeypatch.setattr(confirm, "ask", lambda *given: asked.append("asked"))
    arguments = Namespace(
        controller=controller, yes=False, no_fetch=True, cluster=None, outputs=tmp_path, settings=[], sweep="s"
    )
    if there:
        image.touch()
    if there or controller:
        commands._prepared(arguments, Console(quiet=True))
    else:
        with pytest.raises(
            TesseraError, match=r"no .*tessera\.sif; nothing was submitted.* `container` in /home/me/c.yaml"
        ):
            commands._prepared(arguments, Console(quiet=True))
    assert asked == (["asked"] if there else [])
