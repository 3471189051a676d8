"""Tessera's command line: plan, fetch, submit, status, logs, collect, report, cancel, doctor.

python launch.py submit near_dupls                      # the paper profile where sbatch is found, else the laptop's
python launch.py plan near_dupls --profile paper --set seeds=[1,2] --scripts
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lib.base.errors import TesseraError, UsageError
from lib.launcher import commands
from lib.plans import documents
from lib.running import submissions

CONSOLE = Console(soft_wrap=True)
ERRORS = Console(stderr=True, soft_wrap=True)


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns 0 all done, 1 something failed or is missing, 2 usage."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments, CONSOLE)
    except UsageError as error:
        return _say(error, 2)
    except (TesseraError, OSError) as error:
        return _say(error, 1)
    except KeyboardInterrupt:
        ERRORS.print("interrupted; what is done stays done, the same command goes on from there")
        return 1


def _say(error: Exception, code: int) -> int:
    ERRORS.print("[bold red]error:[/]", escape(str(error)), highlight=False)
    return code


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="launch.py", description=__doc__.splitlines()[0])
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common()

    plan = verbs.add_parser("plan", parents=[common], help="what would run: tasks, what is done, node hours")
    plan.add_argument("--scripts", action="store_true", help="print the sbatch scripts of the tasks that are ready")
    plan.add_argument("--power", action="store_true", help="what difference in rho the canaries and seeds can show")
    plan.set_defaults(run=commands.plan)

    fetch = verbs.add_parser("fetch", parents=[common], help="bring the sweep's hub models and data into the cache")
    fetch.set_defaults(run=commands.fetch)

    submit = verbs.add_parser("submit", parents=[common], help="run, or submit, whatever is missing")
    submit.add_argument("--no-fetch", action="store_true", help="do not bring hub models and data into the cache first")
    submit.add_argument("--force", action="store_true", help="take submitted tasks of unknown fate for gone")
    submit.add_argument("--max-failures", type=int, help="stop after a task failed this often in the same way")
    submit.add_argument("--campaign", default=submissions.new_id(), help=argparse.SUPPRESS)
    submit.add_argument("--controller", help=argparse.SUPPRESS)
    submit.set_defaults(run=commands.submit)

    status = verbs.add_parser("status", parents=[common], help="done, running, queued, failed, unknown by stage")
    status.set_defaults(run=commands.status)

    logs = verbs.add_parser(
        "logs", parents=[common], help="the last lines of logs: of failed tasks, or of a stage's tasks"
    )
    logs.add_argument("--stage", help="of this stage's last tasks instead")
    logs.add_argument("--lines", type=int, default=20)
    logs.set_defaults(run=commands.logs)

    collect = verbs.add_parser("collect", parents=[common], help="tables, figures and report of what is done")
    collect.add_argument("--partial", action="store_true", help="collect although tasks are missing, and say which")
    collect.set_defaults(run=commands.collect)

    report = verbs.add_parser("report", help="one report over all sweeps that are collected")
    _add_outputs(report)
    report.set_defaults(run=commands.report)

    demo = verbs.add_parser("demo", help="rho of the four published models from their published AUCs, in seconds")
    _add_outputs(demo)
    demo.set_defaults(run=commands.demo)

    cancel = verbs.add_parser("cancel", parents=[common], help="end what runs or waits")
    cancel.set_defaults(run=commands.cancel)

    doctor = verbs.add_parser(
        "doctor", parents=[_common(sweep_required=False)], help="what a run needs, and how to mend it"
    )
    doctor.set_defaults(run=commands.doctor)
    return top


def _common(sweep_required: bool = True) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("sweep", nargs=None if sweep_required else "?", help=f"one of: {', '.join(documents.names())}")
    common.add_argument(
        "--profile", help="the scale: a file in sweeps/profiles (default: paper with sbatch, else laptop)"
    )
    common.add_argument("--cluster", help="a file in env/clusters, or 'local' (default: site where sbatch is found)")
    _add_outputs(common)
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    return common


def _add_outputs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--outputs", type=Path, default=Path("outputs"), help="the root of everything written")


if __name__ == "__main__":
    sys.exit(main())
