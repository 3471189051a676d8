"""A process that runs stages in forks. It stands for `python -m jobs`, without importing torch and DeepSpeed each time.

It reads lines of JSON {"stage", "argv", "log", "block_values", "ranks"}, and answers with the process id of the first
rank and then the exit status of the first rank that failed, or 0. Several ranks have the variables that torchrun gives
its own.
"""

import json
import os
import socket
import sys

import deepspeed.runtime.zero.muon.muon_optimizer  # with torch's compiler, which every training imports late  # noqa: F401
import torch._dynamo  # noqa: F401

import lib.training.finetuning  # noqa: F401
from lib.artifacts.command import main
from lib.training import sequences

os.environ["DS_ACCELERATOR"] = "cpu"


def child(variables: dict[str, str], stage: str, argv: list[str], log: str, block_values: int) -> None:
    """Run the stage with its output in `log`, and end this process with its exit code.

    block_values: most logits at once; more are computed by blocks.
    """
    os.environ.update(variables)
    sequences.BLOCK_VALUES = block_values
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 70
    try:
        code = main(stage, argv)
    finally:
        sys.stdout.flush()
        os._exit(code)


def of_torchrun(ranks: int) -> list[dict[str, str]]:
    """The variables of each rank; none for one that is alone."""
    if ranks == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    return [{"RANK": str(rank), "LOCAL_RANK": str(rank), **shared} for rank in range(ranks)]


print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    pids = []
    for variables in of_torchrun(request.pop("ranks", 1)):
        pids.append(os.fork())
        if pids[-1] == 0:
            child(variables, **request)
    print(pids[0], flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(next((code for code in codes if code), 0), flush=True)
