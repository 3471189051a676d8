"""A warm process: torch and transformers imported once, stages run in forks of it.

Importing them takes about four seconds of a core, and a sweep on a laptop starts dozens of stages that need them and
run for a few seconds. The local loop starts one warm process (`server`), and so does a job that runs several tasks.
Runners find it through TESSERA_WARM and ask it for a fork (`run`); if it does not answer, they print so and start a new
process. A fork is a process like any other: it has its own log, it ends with its runner, and it cannot affect the next
one. A context on a GPU cannot be inherited: the warm process opens none, and each fork opens its own.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from lib.artifacts.command import main
from lib.artifacts.stage import load
from lib.base import gpus, interrupts, places, processes
from lib.plans.resources import Resources

VARIABLE = "TESSERA_WARM"
SUITED = "TESSERA_WARM_FOR"  # the cores and GPUs of the tasks that it was started for
NO_GPU = "no GPU"  # the answer of a fork that inherited a context on a GPU, with which it cannot work
LOG = "warm.log"  # in its folder
START_SECONDS = 120.0
LIMIT_BYTES = 1 << 20
ONE_CORE = Resources()


@contextlib.contextmanager
def server(
    folder: Path, environment: dict[str, str], cwd: str, resources: Resources = ONE_CORE, wait: bool = False
) -> Iterator[dict[str, str]]:
    """A warm process during the block, for tasks with these resources. Yields the variables that runners look for.

    wait: until it listens, for runners that ask at once
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = str(folder / "warm.sock")
    if len(address) > 100:  # a Unix socket's address may have 107 bytes
        address = f"/tmp/tessera-warm-{os.getpid()}.sock"
    line = [sys.executable, "-m", "lib.running.warm_process", address, processes.identity()]
    with open(folder / LOG, "ab") as log:
        process = subprocess.Popen(
            line, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        if wait:
            _await(address, process)
        yield {VARIABLE: address, SUITED: _kind(resources)}
    finally:
        process.kill()
        process.wait()
        Path(address).unlink(missing_ok=True)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the warm process listens, which it does before it imports anything large, or has ended."""
    deadline = time.monotonic() + START_SECONDS
    while not Path(address).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def suits(stage: str, resources: Resources) -> bool:
    """Whether a task should run in a fork: if there is a warm process and the stage imports torch.

    The task must be one process with as many threads and GPUs as the warm process was started for.
    """
    fits = resources.processes == 1 and os.environ.get(SUITED) == _kind(resources)
    return VARIABLE in os.environ and fits and imports_torch(stage)


def _kind(resources: Resources) -> str:
    return f"{resources.cpus} cores, {resources.gpus} GPUs"


def imports_torch(stage: str) -> bool:
    """Whether a stage declares (IMPORTS_TORCH) that it imports torch and transformers."""
    return load(stage).imports_torch


def run(stage: str, argv: Sequence[str], log: BinaryIO) -> int:
    """Run a stage in a fork of the warm process. Its output goes to the open file `log`. Returns the exit code.

    For a fork that was killed it returns -SIGKILL. Raises OSError if no warm process answers.
    """
    request = {"stage": stage, "argv": list(argv), "runner": processes.identity()}
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(START_SECONDS)
        channel.connect(os.environ[VARIABLE])
        channel.settimeout(None)
        # With the open log: a fork that had to open it could not say that a full disk forbids it.
        socket.send_fds(channel, [b"\n"], [log.fileno()])
        channel.sendall(json.dumps(request).encode() + b"\n")
        try:
            answer = channel.makefile().readline()
        finally:
            with interrupts.delayed():
                _end(channel)
    if answer.strip() == NO_GPU:
        raise OSError("its forks cannot use the GPU")
    return int(answer) if answer else -signal.SIGKILL


def _end(channel: socket.socket) -> None:
    """End the fork if it still works, and what it has started, and wait until it has gone."""
    with contextlib.suppress(OSError):  # it has gone already, or has not begun
        channel.shutdown(socket.SHUT_WR)
        channel.settimeout(processes.GRACE_SECONDS)
        while channel.recv(LIMIT_BYTES):
            pass
    processes.end_marked(processes.RUNNER, lambda value: value == processes.identity())


def serve(address: str, launcher: str) -> None:
    """Import, then fork a stage for every connection, until the launcher ends.

    This process has no threads: a fork of a process with threads may inherit a lock that is never released.
    """
    processes.die_with(launcher)
    listener = socket.socket(socket.AF_UNIX)
    Path(address).unlink(missing_ok=True)
    listener.bind(address)
    listener.listen(64)  # requests during the imports wait
    _import()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forks
    while True:
        channel, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _work(channel)
        channel.close()


def _import() -> None:
    import torch._dynamo  # DeepSpeed imports it late  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXForCausalLM  # noqa: F401


def _work(channel: socket.socket) -> None:
    """Run one stage in this fork. Its output goes to its log, its exit code to its runner."""
    _, (log,), _, _ = socket.recv_fds(channel, 1, 1)
    os.dup2(log, 1)
    os.dup2(log, 2)
    request = json.loads(channel.makefile().readline(LIMIT_BYTES))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ[processes.RUNNER] = request["runner"]
    threading.Thread(target=_end_with_runner, args=(channel,), daemon=True).start()
    _refuse_gpu(channel)
    code = 1
    try:
        sys.argv = [str(places.JOBS / "__main__.py"), request["stage"], *request["argv"]]
        code = main(request["stage"], request["argv"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()  # no frame above would
    finally:
        with contextlib.suppress(OSError):  # the log's disk takes nothing: the exit code says so
            sys.stdout.flush()
            sys.stderr.flush()
        channel.sendall(f"{code}\n".encode())
        os._exit(code)


def _refuse_gpu(channel: socket.socket) -> None:
    """End this fork if it inherited a context on a GPU: an import may have opened one. Its runner starts a process."""
    if not gpus.asked():
        return
    import torch

    if torch.cuda._is_in_bad_fork():
        channel.sendall(f"{NO_GPU}\n".encode())
        os._exit(1)


def _end_with_runner(channel: socket.socket) -> None:
    """End this fork when its runner ends: it sends nothing after its request, so the stream ends only then."""
    channel.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(*sys.argv[1:])
