"""Operations and bytes of language models: training, reading texts, continuing them.

Operations: a pass forward needs 2 for each weight and token, a pass back twice that (Kaplan et al., arXiv 2001.08361).
Attention adds 4 x width x length for each token and layer forward (Chowdhery et al., arXiv 2204.02311, appendix B; it
counts all pairs of tokens, also those that a causal mask leaves out).
"""

import math
from dataclasses import dataclass
from typing import Literal

from lib.costs import devices
from lib.costs.facts import Model
from lib.costs.work import SIZES, Phase

ACTIVATIONS = 34  # bytes a token and number of width that a layer keeps for the pass back, in 16 bits, where attention
# writes no matrices out (Korthikanti et al., arXiv 2205.05198, section 4)
LOGIT_COPIES = 3  # of the logits in fp32: themselves, their logarithms, their gradient
LOWER_CASE = 1.5  # tokens of a text in lower case to those of the text: an assumption
AUTO_SHARE, MOST_ROWS = 0.8, 512  # of a GPU's memory, and rows, where a batch size is `auto`
LOGITS = 20 * 2**27  # bytes of a block of logits in fp32, and of the arrays made of it (lib/models/output_head.py)
WORKSPACE = 1.5e9  # bytes that PyTorch, cuBLAS and the allocator's gaps take


def reading(model: Model, tokens: float, length: float, precision: str) -> tuple[Phase, ...]:
    """One pass forward over `tokens` tokens of texts of `length`."""
    return _passes(model, 1, tokens, length, precision)


def training(model: Model, tokens: float, context: float, precision: str, recompute: bool) -> tuple[Phase, ...]:
    """Forward and back over `tokens` tokens in sequences of `context`; recompute: each layer runs forward twice."""
    return _passes(model, 4 if recompute else 3, tokens, context, precision)


def optimiser_steps(model: Model, steps: float) -> Phase:
    """AdamW in fp32: weight, gradient and two moments are read, and all but the gradient written, 28 bytes a weight."""
    return Phase(moved=28 * model.parameters * steps)


def continuing(model: Model, texts: float, rows: int, prompt: float, made: float, precision: str) -> tuple[Phase, ...]:
    """Reading `texts` prompts, then `made` tokens for each, `rows` texts at a time.

    Every step reads all weights once, and the keys, values or states of its rows.
    """
    rows = min(rows, max(1, int(texts)))
    steps = made * -(-texts // rows)
    a_step = model.parameters * SIZES[precision] + rows * _kept(model, prompt + made / 2, precision)
    step = Phase(
        flops=(2 * model.parameters + _pairs(model, prompt + made / 2)) * rows * steps,
        moved=a_step * steps,
        precision=precision,
        starts=model.layers * steps,
        recurrent=model.state_width > 0,
    )
    return *reading(model, texts * prompt, prompt, precision), step


def together(rows: int | Literal["auto"], model: Model, length: float, precision: str) -> int:
    """How many texts of `length` tokens are continued at once; "auto": as lib/generation/rows.py finds room for, on the
    GPU that plans are computed for where nothing else is said."""
    if rows != "auto":
        return rows
    free = AUTO_SHARE * devices.DEVICES[devices.DEFAULT].memory - weights(model, precision) - LOGITS - WORKSPACE
    return max(1, min(MOST_ROWS, int(free / (_kept(model, length, precision) + _layer(model, 1, length, precision)))))


def weights(model: Model, precision: str) -> float:
    """Bytes of the weights in this precision."""
    return model.parameters * SIZES[precision]


def reading_memory(model: Model, rows: int, length: float, precision: str) -> float:
    """Bytes on the GPU while `rows` texts of `length` tokens are read: weights and one layer; logits come in blocks."""
    return weights(model, precision) + _layer(model, rows, length, precision) + LOGITS + WORKSPACE


def continuing_memory(model: Model, rows: int, length: float, precision: str) -> float:
    """Bytes on the GPU while `rows` texts grow to `length` tokens; the head reads few tokens at a time."""
    kept = rows * _kept(model, length, precision)
    return weights(model, precision) + kept + _layer(model, rows, length, precision) + LOGITS + WORKSPACE


def head_again(model: Model, tokens: float, precision: str) -> Phase:
    """The output matrix forward once more, where the loss is computed by blocks."""
    return Phase(flops=2 * model.vocabulary * model.width * tokens, precision=precision)


def training_memory(
    model: Model, rows: int, context: int, precision: str, recompute: bool, logits: float = math.inf
) -> float:
    """Bytes of activations and logits of `rows` sequences, while gradients are computed; logits: most at once."""
    layer = _layer(model, rows, context, precision)
    kept = layer * model.layers
    if recompute:
        kept = layer + rows * context * model.width * SIZES[precision] * model.layers
    return kept + min(rows * context * model.vocabulary, logits) * 4 * LOGIT_COPIES + WORKSPACE


@dataclass(frozen=True)
class State:
    """Bytes of what AdamW works on: on the GPU, while it steps, of that divided among GPUs, in RAM, in a checkpoint."""

    gpu: float
    step: float
    spread: float
    ram: float
    checkpoint: float


def training_state(model: Model, precision: str, stage: int, offload: bool = False) -> State:
    """Weights, fp32 master weights, gradients and two moments. stage: of ZeRO, 0 to 3; offload: to RAM.

    In fp32, stage 0 has no master weights of their own. Stage 1 keeps the gradients of bf16 beside their fp32 sums.
    A step of AdamW needs one more fp32 copy, of the gradients. With offload the master weights and moments are in RAM.
    """
    n, low = model.parameters, SIZES[precision]
    master = 12.0 if stage or precision != "fp32" else 8.0  # fp32 copy and two moments, or the moments alone
    gradients = 4.0 + (low if stage == 1 and precision != "fp32" else 0)
    on_gpu = low + (0 if offload else master + gradients)
    return State(
        gpu=n * on_gpu,
        step=n * (on_gpu + (0 if offload else 4)) + WORKSPACE,
        spread=n * (master if stage and not offload else 0),
        ram=n * (master + 4 if offload else 0),
        checkpoint=n * (low + master),
    )


def _passes(model: Model, passes: float, tokens: float, length: float, precision: str) -> tuple[Phase, ...]:
    """`passes` times the operations of a pass forward: the weights, and the pairs of attention."""
    matrices, pairs = tokens * 2 * model.parameters, tokens * _pairs(model, length)
    return Phase(flops=passes * matrices, precision=precision), Phase(flops=passes * pairs, precision=precision)


def _pairs(model: Model, length: float) -> float:
    """Operations of attention a token; a recurrent model has no pairs of tokens."""
    return 4 * model.layers * model.width * length if model.kv_width else 0


def _kept(model: Model, length: float, precision: str) -> float:
    """Bytes that are kept of a text of `length` tokens while it is continued; states are fp32, read and written."""
    return model.layers * (2 * model.kv_width * length * SIZES[precision] + 2 * 4 * model.state_width)


def _layer(model: Model, rows: int, length: float, precision: str) -> float:
    """Bytes of the activations of one layer."""
    return rows * ACTIVATIONS * length * model.width * SIZES[precision] / 2
