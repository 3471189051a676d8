"""A user's command is told how a sweep ended; whatever becomes of it, the sweep is not affected."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from lib.base.errors import TesseraError, UsageError
from lib.base.interrupts import Interrupted
from lib.launcher import notices
from lib.launcher.sweep import Sweep
from lib.plans.plan import Plan
from lib.running import notify
from lib.running.notify import Notice
from lib.running.site import Cluster

NOTICE = Notice("near_dupls", "failed", 3, 1, 5, Path("/outputs/sweeps/near_dupls"), "no\nroom: token-of-mine")


def test_the_command_gets_variables_and_no_secret(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "token-of-mine")
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    file = tmp_path / "two words; $HOME"
    notify.send([sys.executable, "-c", program, str(file)], NOTICE)
    found = {name: value for name, value in json.loads(file.read_text()).items() if name in NOTICE.variables()}
    assert found == {
        "TESSERA_SWEEP": "near_dupls", "TESSERA_OUTCOME": "failed", "TESSERA_DONE": "3", "TESSERA_FAILED": "1",
        "TESSERA_TOTAL": "5", "TESSERA_FOLDER": "/outputs/sweeps/near_dupls", "TESSERA_ERROR": "no room: ***",
        "TESSERA_MESSAGE": "near_dupls: failed, 3 of 5 tasks done, 1 failed: no room: ***",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["/no/such/program"], "No such file"),
        ([sys.executable, "-c", "raise SystemExit(7)"], "exit code 7"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "took longer than"),
        (["nul\0"], "null byte"),
    ],
)
def test_a_command_that_fails_is_said_and_fails_nothing(line: list[str], said: str, capsys, monkeypatch) -> None:
    monkeypatch.setattr(notify, "SECONDS", 0.2 if "sleep" in line[-1] else 60.0)
    notify.send(line, NOTICE)
    error = capsys.readouterr().err
    assert said in error
    assert "The sweep is not affected" in error


def test_the_flag_comes_before_the_cluster_file() -> None:
    here, there = (Sweep(None, site, Path(), None) for site in (None, Cluster("site", notify=("mail", "me"))))
    assert notices.command(Namespace(notify=None), here) == ()
    assert notices.command(Namespace(notify=None), there) == ("mail", "me")
    assert notices.command(Namespace(notify="say 'two words'"), there) == ["say", "two words"]
    assert notices.command(Namespace(notify=""), there) == []
    with pytest.raises(UsageError, match="No closing quotation"):
        notices.command(Namespace(notify="say 'two"), there)


def run(arguments: Namespace, sweep: Sweep, how: object) -> None:
    """Let a sweep end with an exit code, or by an exception; neither is changed by who is told."""
    if isinstance(how, int):
        assert notices.told(arguments, sweep, lambda: how) == how
        return

    def end() -> int:
        raise how

    with pytest.raises(type(how)) as found:
        notices.told(arguments, sweep, end)
    assert found.value is how


@pytest.mark.parametrize(
    ("how", "done", "here", "cluster"),
    [
        (0, True, "done", "done"),
        (0, False, None, None),  # submitted: it goes on
        (1, False, "failed", "failed"),
        (TesseraError("no"), False, "failed", "failed"),
        (OSError("no"), False, "failed", "failed"),
        (Interrupted(15), False, "interrupted", None),  # the controller that comes back says it
    ],
)
@pytest.mark.parametrize("site", [None, Cluster("site")])
def test_every_end_is_told_once(how, done: bool, here: str, cluster: str, site, tmp_path, monkeypatch) -> None:
    sent = []
    monkeypatch.setattr(notify, "send", lambda line, notice: sent.append((line, notice.outcome)))
    monkeypatch.setattr(Sweep, "done", lambda self: set() if done else {"something else"})
    sweep = Sweep(Plan("toy", "profile", "title", "none", {}, []), site, tmp_path, None)
    arguments = Namespace(notify="tell me", controller="a controller", campaign="mine")
    run(arguments, sweep, how)
    outcome = cluster if site else here
    assert sent == ([(["tell", "me"], outcome)] if outcome else [])
    arguments.controller = None  # a command that has run no task has nothing to tell
    run(arguments, sweep, how)
    assert len(sent) == bool(outcome)
