"""The command line of stages: `python -m jobs`, `python -m jobs STAGE --help`, `python -m jobs STAGE --config ...`.

A stage with MPI = True runs on any number of ranks: `mpirun -n 4 python -m mpi4py -m jobs STAGE ...`.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lib.artifacts import execution, manual
from lib.artifacts.stage import Stage, load
from lib.base import mpi
from lib.base.errors import TesseraError, UsageError, exit_code
from lib.base.processes import die_with_parent

FOLLOWER_SECONDS = 5.0  # ranks on a busy machine start so far apart


class _Parser(argparse.ArgumentParser):
    """Raises UsageError for wrong arguments, so that of several ranks only one prints the usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")


def run(argv: Sequence[str]) -> int:
    """Run the stage that the first argument names, or list the stages. Returns as `main`."""
    if not argv or argv[0] in ("-h", "--help"):
        print(manual.overview())
        return 0
    return main(argv[0], argv[1:])


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run one stage as the command line says.

    Returns 0 done, 1 failed, 73 or 74 failed by a disk (see errors.exit_code), 2 usage, 130 interrupted.
    """
    if mpi.is_rank():
        die_with_parent()
    code = _flushed(_guarded(name, argv))
    if code:
        mpi.abort(code)
    return code


def _guarded(name: str, argv: Sequence[str] | None) -> int:
    try:
        stage = _stage(name)
        arguments = _parser(stage).parse_args(argv)
        values, inputs = execution.read_config(stage, arguments.config)
        return execution.run(stage, values, inputs, arguments.out.resolve(), arguments.attempt)
    except UsageError as error:
        return _report(error, 2)
    except (TesseraError, OSError) as error:
        return _report(error, exit_code(error))
    except KeyboardInterrupt:
        print("interrupted; the same command continues from there", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        with contextlib.suppress(OSError):  # a log on a disk that takes nothing: the exit code says so
            traceback.print_exc()
        return exit_code(error)


def _flushed(code: int) -> int:
    """The code, once the output is written; that of a disk which does not take it, where Python would end with 120."""
    try:
        sys.stdout.flush()
        return code
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or exit_code(error)


def _stage(name: str) -> Stage:
    if name.startswith("-"):
        raise UsageError(f"unknown option '{name}'\n{manual.USAGE}")
    return load(name)


def _report(error: Exception, code: int) -> int:
    if not mpi.leading():  # if every rank has the same error, the leading one prints it first and ends all
        time.sleep(FOLLOWER_SECONDS)
    with contextlib.suppress(OSError):  # as above
        print(f"error: {error}", file=sys.stderr)
    return code


def _parser(stage: Stage) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m jobs {stage.name}",
        description=manual.page(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML: configuration and inputs")
    parser.add_argument("--out", type=Path, required=True, help="the artifact directory")
    parser.add_argument("--attempt", type=int, help=argparse.SUPPRESS)
    return parser
