"""Tessera's command line: plan, fetch, submit, status, logs, collect, report, demo, cancel, doctor.

python launch.py submit near_dupls                      # the paper profile if sbatch is found, else laptop
python launch.py plan near_dupls --profile paper --set seeds=[1,2] --scripts
"""

import argparse
import contextlib
import signal
import sys
from pathlib import Path

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while the rest is imported

from rich.console import Console
from rich.markup import escape

from lib.base import files, interrupts
from lib.base.errors import TesseraError, UsageError
from lib.base.interrupts import Interrupted
from lib.launcher import commands, terminal
from lib.launcher.terminal import OutputError
from lib.plans import documents
from lib.running import submissions

CONSOLE = Console(soft_wrap=True)
ERRORS = Console(stderr=True, soft_wrap=True)
CONTINUES = "interrupted; what is done stays done, and the same command continues from there"


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns 0 (all done), 1 (something failed or is missing), 2 (wrong usage), or 128 + n if signal n ended it.
    """
    try:
        arguments = parser().parse_args(argv)
        _check(sys.argv[1:] if argv is None else argv, arguments.outputs)
        with interrupts.raised():
            code = arguments.run(arguments, CONSOLE)
            sys.stdout.flush()
            return code
    except Interrupted as asked:
        return _say(CONTINUES, asked.exit_code)
    except OutputError as error:
        terminal.silence()
        return 128 + signal.SIGPIPE if error.is_closed else _report(str(error), 1)
    except UsageError as error:
        return _report(str(error), 2)
    except OSError as error:
        return _report(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except (TesseraError, UnicodeError) as error:
        return _report(str(error), 1)


def _check(words: list[str], outputs: Path) -> None:
    """Raise UsageError for what no command can work with: words that are no text, a folder that is none or gone."""
    for word in words:
        if any("\udc80" <= character <= "\udcff" for character in word):
            raise UsageError(f"{word!r} is no text in this shell's encoding, {sys.getfilesystemencoding()}")
    try:
        place = files.existing(outputs.resolve())
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more; `cd` to one that does") from error
    if not place.is_dir():
        raise UsageError(f"--outputs {outputs}: {place} is a file; name a folder")


def _report(error: str, code: int) -> int:
    return _say(f"[bold red]error:[/] {escape(error)}", code)


def _say(words: str, code: int) -> int:
    with contextlib.suppress(OSError):  # there may be nobody to read it
        ERRORS.print(words, highlight=False)
    return code


def parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    top = argparse.ArgumentParser(prog="launch.py", description=__doc__.splitlines()[0])
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def verb(name: str, about: str, flags: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[flags], help=about)
        added.set_defaults(run=getattr(commands, name))
        return added

    common, outputs = _common(), _outputs()
    plan = verb("plan", "print what would run: tasks, what is done, expected hours", common)
    plan.add_argument("--scripts", action="store_true", help="print one sbatch script of every kind of task")
    plan.add_argument("--power", action="store_true", help="print the differences in rho that this size can show")

    verb("fetch", "download the sweep's hub models and data into the cache", common)
    submit = verb("submit", "run, or submit, what is not done", common)
    submit.add_argument("--no-fetch", action="store_true", help="do not download hub models and data first")
    submit.add_argument("--force", action="store_true", help="treat submitted tasks whose state is unknown as lost")
    submit.add_argument("--max-failures", type=int, help="stop when a task has failed this often with the same error")
    submit.add_argument("--campaign", default=submissions.new_id(), help=argparse.SUPPRESS)
    submit.add_argument("--controller", help=argparse.SUPPRESS)

    verb("status", "how many tasks of each stage are done, running, queued, failed", common)
    logs = verb("logs", "the last lines of the logs of failed tasks", common)
    logs.add_argument("--stage", help="of this stage's tasks instead")
    logs.add_argument("--lines", type=int, default=20, help="how many lines of each log (default: 20)")

    collect = verb("collect", "write tables, figures and report", common)
    collect.add_argument("--partial", action="store_true", help="collect although tasks are missing")

    verb("report", "write one report over all collected sweeps", outputs)
    verb("demo", "rho of the four published models from their published AUCs, in seconds", outputs)
    verb("cancel", "end the running and waiting tasks", common)
    verb("doctor", "check what a run needs, and print what to do", _common(sweep_required=False))
    return top


def _common(sweep_required: bool = True) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, parents=[_outputs()])
    common.add_argument("sweep", nargs=None if sweep_required else "?", help=f"one of: {', '.join(documents.names())}")
    common.add_argument("--profile", help="a file in sweeps/profiles (default: paper if sbatch is found, else laptop)")
    common.add_argument("--cluster", help="a file in env/clusters, or 'local' (default: site if sbatch is found)")
    help_set = "change a variable, or nodes.<node>.config.<key>"
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=help_set)
    return common


def _outputs() -> argparse.ArgumentParser:
    outputs = argparse.ArgumentParser(add_help=False)
    outputs.add_argument("--outputs", type=Path, default=Path("outputs"), help="the folder of everything written")
    return outputs


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
