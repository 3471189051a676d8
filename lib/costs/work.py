"""The work of a task, in numbers of the machine: operations, bytes moved, bytes needed.

A stage that runs on a GPU may declare `work(config, given)` in its module; lib/costs/devices.py turns it into hours.
"""

from dataclasses import dataclass

SIZES = {"fp32": 4, "bf16": 2, "fp16": 2}  # bytes of a number
TEXT_BYTES = 4.5  # bytes of a token's text, English in the vocabularies of GPT-2 and its like
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}  # torch's names


@dataclass(frozen=True)
class Phase:
    """A part of the work that is bound by one thing: arithmetic, memory, or starting kernels.

    flops: additions and multiplications in `precision`; moved: bytes read from and written to the GPU's memory;
    starts: layers that run one after the other in such small pieces that starting them may take longest.
    """

    flops: float = 0.0
    moved: float = 0.0
    precision: str = "fp32"
    starts: float = 0.0
    recurrent: bool = False


@dataclass(frozen=True)
class Work:
    """What a task does, needs and leaves. All sizes are in bytes.

    gpu: the most that is in a GPU's memory; spread: of that, what several GPUs divide among them; loaded: weights that
    are read at the start; ram: what is in the machine's memory besides these. Files: results stay, weights stay until
    they are dropped (keep_weights), scratch is there only while the task runs. otherwise: the same task with less in
    the GPU's memory and more operations, for a GPU that it does not fit.
    in_turn: one process uses several GPUs one after the other, each for its layers, so that they save memory, not time.
    """

    phases: tuple[Phase, ...] = ()
    gpu: float = 0.0
    spread: float = 0.0
    loaded: float = 0.0
    ram: float = 0.0
    results: float = 0.0
    weights: float = 0.0
    scratch: float = 0.0
    otherwise: "Work | None" = None
    in_turn: bool = False
