"""When a user is told how a sweep has ended, and of what."""

import shlex
from argparse import Namespace
from collections.abc import Callable, Sequence

from lib.base import places
from lib.base.errors import TesseraError, UsageError
from lib.base.interrupts import Interrupted
from lib.launcher.sweep import Sweep
from lib.running import durations, notify, survey
from lib.running.notify import Notice


def command(arguments: Namespace, sweep: Sweep) -> Sequence[str]:
    """The words of the command to run at the end: of --notify, else of the cluster file; none if nobody asks for it."""
    if arguments.notify is None:
        return sweep.site.notify if sweep.site else ()
    try:
        return shlex.split(arguments.notify)
    except ValueError as error:
        raise UsageError(f"--notify: {arguments.notify!r}: {error}; write it as in a shell") from error


def told(arguments: Namespace, sweep: Sweep, work: Callable[[], int]) -> int:
    """The exit code of `work`, which runs or submits the sweep. If the sweep ends by it, or fails, a notice is sent.

    None is sent for a command that has run no task, nor for a controller that is stopped: the next one goes on.
    """
    line = command(arguments, sweep)
    if not line:
        return work()
    try:
        code = work()
    except Interrupted as asked:
        if sweep.site is None:
            _send(arguments, sweep, line, notify.INTERRUPTED, str(asked))
        raise
    except (TesseraError, OSError) as error:
        _send(arguments, sweep, line, notify.FAILED, str(error))
        raise
    if code or len(sweep.done()) == len(sweep.plan.tasks):
        _send(arguments, sweep, line, notify.FAILED if code else notify.DONE)
    return code


def _send(arguments: Namespace, sweep: Sweep, line: Sequence[str], outcome: str, error: str = "") -> None:
    plan = sweep.plan
    if not arguments.controller and durations.of_campaign(sweep.root, plan, arguments.campaign) is None:
        return
    found = survey.local(sweep.root, plan)
    counts = (len(found.having(survey.DONE)), len(found.having(survey.FAILED)), len(plan.tasks))
    notify.send(line, Notice(plan.name, outcome, *counts, places.sweep(sweep.root, plan.run), error))
