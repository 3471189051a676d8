"""Tessera's command line: plan, fetch, submit, status, logs, collect, report, demo, trace, cancel, doctor,
sweeps, vars, completion.

python launch.py submit near_dupls                      # the paper profile if sbatch is found, else laptop
python launch.py plan near_dupls --profile paper --set seeds=[1,2] --scripts
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while the rest is imported

import argparse
import contextlib
import importlib.util
import sys
from pathlib import Path

if not importlib.util.find_spec("rich"):
    sys.exit(f"error: {sys.executable} has no packages of this project; take .venv/bin/python, which `make env` makes")

from rich.console import Console
from rich.markup import escape

from lib.base import files, interrupts, places
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.base.interrupts import Interrupted
from lib.launcher import commands, terminal
from lib.launcher.terminal import OutputError
from lib.plans import documents, overrides
from lib.running import submissions

CONSOLE = Console(soft_wrap=True)
ERRORS = Console(stderr=True, soft_wrap=True)
SWEEP = f"one of: {', '.join(documents.names())}"
CODES = "It ends with 0 (as asked), 1 (something failed or is missing), 2 (wrong usage) or 128 + n (signal n ended it)."
CONTINUES = "interrupted; what is done stays done, and the same command continues from there"


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns 0 (as asked), 1 (something failed or is missing), 2 (wrong usage), or 128 + n if signal n ended it.
    """
    try:
        arguments = parser().parse_args(argv)
        _check(sys.argv[1:] if argv is None else argv, getattr(arguments, "outputs", places.ROOT))
        CONSOLE.quiet = arguments.quiet
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
        Path.cwd()
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


class _Parser(argparse.ArgumentParser):
    """argparse, which names the nearest of the words that it knows instead of all."""

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"no '{value}'{suggestion(value, action.choices)}")


def parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    top: argparse.ArgumentParser = _Parser(prog="launch.py", description=__doc__.split("\n\n")[0], epilog=CODES)
    top.set_defaults(quiet=False)
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def verb(name: str, about: str, flags: argparse.ArgumentParser, example: str = "") -> argparse.ArgumentParser:
        line = f".venv/bin/python launch.py {name} {example}".rstrip()
        epilog = f"example:\n  {line}\n\n{CODES}"  # the line stands alone, to be copied
        layout = argparse.RawDescriptionHelpFormatter
        added = verbs.add_parser(
            name, parents=[flags], help=about, description=about, epilog=epilog, formatter_class=layout
        )
        added.set_defaults(run=getattr(commands, name))
        return added

    common, outputs, nothing = _common(), _outputs(), argparse.ArgumentParser(add_help=False)
    plan = verb("plan", "print what would run: tasks, what is done, expected hours", common, "near_dupls")
    plan.add_argument("--scripts", action="store_true", help="print one sbatch script of every kind of task")
    plan.add_argument("--power", action="store_true", help="print the differences in rho that this size can show")

    verb("fetch", "download the sweep's hub models and data into the cache", common, "near_dupls --profile=paper")
    submit = verb("submit", "run, or submit, what is not done", common, "near_dupls --set='seeds=[1,2]'")
    help_yes = "submit to a cluster without asking; needed for GPUs where there is no terminal"
    submit.add_argument("--yes", action="store_true", help=help_yes)
    submit.add_argument("--no-fetch", action="store_true", help="do not download hub models and data first")
    submit.add_argument("--force", action="store_true", help="treat submitted tasks whose state is unknown as lost")
    help_max = "stop when a task has failed this often with the same error, such as 5 (default: 1, on a cluster 3)"
    submit.add_argument("--max-failures", type=int, metavar="NUMBER", help=help_max)
    help_notify = "run this at the end, such as '/home/me/bin/tell-me' (env/README.md says what it is told)"
    submit.add_argument("--notify", metavar="COMMAND", help=help_notify)
    submit.add_argument("--campaign", default=submissions.new_id(), help=argparse.SUPPRESS)
    submit.add_argument("--controller", help=argparse.SUPPRESS)

    status = verb("status", "how many tasks of each stage are done, running, queued, failed", common, "near_dupls")
    status.add_argument("--json", action="store_true", help="print JSON, for programs: states, failed tasks, logs")
    logs = verb("logs", "the last lines of the logs of failed tasks", common, "near_dupls --stage=finetune --lines=50")
    logs.add_argument("--stage", help="of this stage's tasks instead, such as finetune")
    logs.add_argument("--lines", type=int, default=20, metavar="NUMBER", help="lines of each log (default: 20)")

    collect = verb("collect", "write tables, figures and report", common, "near_dupls --partial")
    collect.add_argument("--partial", action="store_true", help="collect although tasks are missing")

    report = verb("report", "write one report over all collected sweeps", outputs)
    help_run = "show this run of its sweep, such as near_dupls--smoke (default: the laptop's, else the newest)"
    report.add_argument("--run", action="append", default=[], metavar="NAME", dest="runs", help=help_run)
    trace = verb(
        "trace", "where a text stands in a corpus: longest runs, counts, near-duplicates", outputs, "--text='a b c'"
    )
    trace.add_argument("--text", metavar="TEXT", help="the text, such as 'It is a truth universally acknowledged'")
    help_texts = "a file of texts, such as mine.jsonl, or generations of the prefix study: a table of longest runs"
    trace.add_argument("--texts", type=Path, metavar="FILE", help=help_texts)
    help_corpus = "a run or a sweep with a corpus, such as slimpajama--smoke (default: the newest run of slimpajama)"
    trace.add_argument("--corpus", default="", metavar="RUN", help=help_corpus)
    trace.add_argument("--min-run", type=int, default=10, metavar="TOKENS", help="of the shortest run (default: 10)")
    help_edits = "how far a near-duplicate may be, such as 5 (default: a tenth of a window)"
    trace.add_argument("--edits", type=int, metavar="TOKENS", help=help_edits)
    help_window = "of a window of the text, whose near-duplicates are looked for (default: 100)"
    trace.add_argument("--window", type=int, default=100, metavar="TOKENS", help=help_window)
    trace.add_argument("--serve", action="store_true", help="serve a page with a search box to this machine alone")
    trace.add_argument("--port", type=int, default=8321, metavar="NUMBER", help="of the page (default: 8321)")
    verb("demo", "rho of the four published models from their published AUCs, in seconds", outputs)
    verb("cancel", "end the running and waiting tasks", common, "near_dupls")
    verb("doctor", "check what a run needs, and print what to do", _common(sweep_required=False), "near_dupls")
    verb("sweeps", "list the sweeps, what each answers and how long that takes on a laptop", nothing)
    listed = verb("vars", "the variables of a sweep: meaning, and value in each profile", nothing, "near_dupls")
    listed.add_argument("sweep", help=SWEEP)
    completion = verb("completion", "print a script that completes commands in your shell", nothing, "bash")
    completion.add_argument("shell", choices=("bash", "zsh"), help="the shell, such as bash")
    completion.set_defaults(parser=top)
    return top


def _common(sweep_required: bool = True) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, parents=[_outputs()])
    common.add_argument("sweep", nargs=None if sweep_required else "?", help=SWEEP)
    help_profile = "a file in sweeps/profiles, such as smoke (default: paper if sbatch is found, else laptop)"
    common.add_argument("--profile", metavar="NAME", help=help_profile)
    help_cluster = "a file in env/clusters, or 'local' for this machine (default: site if sbatch is found)"
    common.add_argument("--cluster", metavar="NAME", help=help_cluster)
    help_set = "change a variable, such as seeds=[1,2], or nodes.<node>.config.<key>; `vars` lists the variables"
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=help_set)
    help_all = "several of them, such as \"seeds=[1, 2] corpus='/data/my books'\""
    common.add_argument(
        "--settings", action="extend", type=overrides.split, metavar="TEXT", dest="settings", help=help_all
    )
    return common


def _outputs() -> argparse.ArgumentParser:
    outputs = argparse.ArgumentParser(add_help=False)
    help_outputs = "the folder of everything written, such as /scratch/me (default: outputs in the checkout)"
    outputs.add_argument("--outputs", type=Path, default=places.ROOT / "outputs", metavar="FOLDER", help=help_outputs)
    outputs.add_argument("--quiet", action="store_true", help="print errors only")
    return outputs


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
