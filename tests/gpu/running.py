"""Runs each part in a process of its own, with a time limit, so that one that hangs or runs out of memory costs only
itself."""

import contextlib
import importlib
import json
import multiprocessing
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lib.artifacts import code_version
from lib.base import files

PARTS = {  # part -> seconds that it may take at most
    "card": 60,
    "agreement": 120,
    "neo": 150,
    "neo_fp32": 100,
    "llama": 120,
    "resume": 150,
    "decode": 120,
    "mamba": 90,
    "scoring": 60,
}
REHEARSAL = 30  # times as many in a rehearsal, which may share a busy machine
FILES = "files"
LAST_LINES = 15  # of the log of a part that failed
SLOW_TO_IMPORT = (  # the first two come with DeepSpeed, when it begins to train
    "torch._dynamo",
    "deepspeed.runtime.zero.muon.muon_optimizer",
    "lib.training.finetuning",
    "lib.artifacts.command",
    "lib.generation.continuations",
    "lib.plans.documents",
    "tests.gpu.models",
)

Found = dict[str, Any]  # gpu.json: "about", and "parts" by name


@dataclass(frozen=True)
class Options:
    """Where results go; the device, cuda or cpu; whether models are tiny, so that speeds mean nothing."""

    out: Path
    device: str
    tiny: bool

    def limit(self, name: str) -> float:
        """The seconds that a part may take."""
        return PARTS[name] * (REHEARSAL if self.tiny else 1)

    def folder(self, name: str) -> Path:
        """A new folder for files of a part, which is removed when the part has ended."""
        made = self.out / FILES / name
        made.mkdir(parents=True)
        return made


def results(options: Options) -> Path:
    """The file with everything that was found."""
    return options.out / "gpu.json"


def run(names: Sequence[str], options: Options) -> Found:
    """Run parts one after the other; gpu.json is written after each. Parts that are not named stay as they were, but
    `card` runs in any case if it has not yet."""
    file = results(options)
    found = json.loads(file.read_bytes()) if file.is_file() else {"parts": {}}
    ceilings = [] if "card" in found["parts"] else ["card"]
    for name in dict.fromkeys([*ceilings, *names]):
        print(f"{name}, at most {options.limit(name):g} s ...", flush=True)
        found["parts"][name] = part(name, options)
        found["about"] = _about(found["parts"].get("card", {}), options)
        files.write_bytes(file, json.dumps(found, indent=1).encode())
        if name == "card" and "failed" in found["parts"]["card"]:
            break  # no other part could run
    return found


def part(name: str, options: Options) -> dict[str, Any]:
    """What a part measured, and its `seconds`; `failed` has the end of its log if it did not come to its end."""
    answer, log = options.out / f"{name}.json", options.out / f"{name}.log"
    answer.unlink(missing_ok=True)
    shutil.rmtree(options.out / FILES, ignore_errors=True)  # of a check that was killed
    begun = time.monotonic()
    process = start(options, log, _measure, name, options, answer)
    try:
        process.join(options.limit(name))
        ended = process.exitcode is not None
    finally:
        _kill_group(process)  # a part may have started processes
        shutil.rmtree(options.out / FILES, ignore_errors=True)
    found = json.loads(answer.read_bytes()) if answer.is_file() and process.exitcode == 0 else {}
    if not found:
        how = f"exit code {process.exitcode}" if ended else f"not done in {options.limit(name):g} s"
        found = {"failed": f"{how}: {_end(log)}"}
    return {**found, "seconds": round(time.monotonic() - begun, 1)}


def start(options: Options, log: Path, function: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that calls a function, with its output in `log`. What the function returns is the exit code.

    On a CPU it is a fork, which has everything imported. A GPU must not be shared with a fork.
    """
    context = multiprocessing.get_context("fork" if options.device == "cpu" else "spawn")
    log.parent.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_logged, args=(log, function, *arguments))
    process.start()
    return process


def import_once() -> None:
    """Import what takes seconds, for the forks of a rehearsal."""
    for name in SLOW_TO_IMPORT:
        importlib.import_module(name)


def _logged(log: Path, function: Callable[..., Any], *arguments: Any) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout = sys.stderr = os.fdopen(output, "w", buffering=1)  # those of a test are not 1 and 2
    sys.exit(function(*arguments))


def _measure(name: str, options: Options, answer: Path) -> None:
    os.setsid()
    found = importlib.import_module(f"tests.gpu.parts.{name}").measure(options)
    answer.write_text(json.dumps(found))


def _kill_group(process: BaseProcess) -> None:
    """End a part and what it has started, whether it has ended itself or not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it may not have made its group yet
    process.join()


def _end(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    return "\n".join(lines[-LAST_LINES:])


def _about(card: dict[str, Any], options: Options) -> dict[str, Any]:
    return {
        "card": card.get("name", "unknown"),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": code_version.commit(),
        "python": platform.python_version(),
        "tiny": options.tiny,
        **{key: card[key] for key in ("torch", "cuda", "transformers", "triton") if key in card},
    }
