"""A process that runs stages in forks. It stands for `python -m jobs`, without importing torch and DeepSpeed each time.

It reads lines of JSON {"stage", "argv", "log", "block_values"}, and answers with the process id and then the exit
status.
"""

import json
import os
import sys

import torch._dynamo  # DeepSpeed imports it late, in every training  # noqa: F401

import lib.training.finetuning  # noqa: F401
from lib.artifacts.command import main
from lib.training import sequences

os.environ["DS_ACCELERATOR"] = "cpu"


def child(stage: str, argv: list[str], log: str, block_values: int) -> None:
    """Run the stage with its output in `log`, and end this process with its exit code.

    block_values: most logits at once; more are computed by blocks.
    """
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


print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        child(**json.loads(line))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
