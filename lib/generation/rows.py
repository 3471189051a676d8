"""How many texts are continued at once: as many as the free memory of a GPU has room for."""

from typing import Any, Literal

import torch

from lib.generation.decoder_state import DecoderState
from lib.models import attention_cache
from lib.models.limits import n_logits

BatchSize = int | Literal["auto"]

MOST = 512  # rows: more gain little, since weights are then read for many rows at once
SHARE = 0.85  # of the free memory: the allocator leaves gaps
RESERVED = 4e9  # bytes: blocks of logits (lib.models.output_head), workspaces of the libraries
ACTIVATIONS = 20  # numbers of width that a layer holds for a token it reads
LOGIT_BYTES = 32  # of one logit, with the arrays of its size that drawing and scoring make
FLOAT_BYTES = 4  # of a logit in float32, in which it is scored
PROBE = 8  # ids


def together(
    model: torch.nn.Module, wanted: BatchSize, texts: int, room: int, on_cpu: int, splits: bool = False
) -> int:
    """`wanted` rows, or for "auto" those of `texts` that fit, each of `room` ids in the end; on a CPU `on_cpu`.

    splits: whether the model's head splits off (lib.models.output_head); else a text that is read has all its logits.
    """
    if wanted != "auto":
        return wanted
    if model.device.type != "cuda":
        return on_cpu
    return fitting(_free(model.device), bytes_of_row(model, room, splits), texts)


def fitting(free: float, row: float, texts: int) -> int:
    """How many rows of so many bytes are read at once, at least one: as few batches as fit, all of nearly one size."""
    most = min(MOST, max(1, int((SHARE * free - RESERVED) / row)))
    batches = max(1, -(-texts // most))
    return max(1, -(-texts // batches))


@torch.inference_mode()
def bytes_of_row(model: Any, room: int, splits: bool = True) -> float:
    """Bytes of one more row: its state for `room` ids, a layer's activations while they are read, its logits, of all
    its ids unless the head splits off."""
    state = DecoderState(model, room, splits=False)
    state.read(torch.ones(1, PROBE, dtype=torch.long, device=model.device))
    grows = state.state_name == "past_key_values" and not attention_cache.is_buffered(state.state)
    kept = attention_cache.size(state.state) * (room / PROBE if grows else 1)
    width = model.get_input_embeddings().weight.shape[1]
    logits = n_logits(model) * (LOGIT_BYTES + (0 if splits else room * (model.dtype.itemsize + FLOAT_BYTES)))
    return kept + ACTIVATIONS * width * room * model.dtype.itemsize + logits


def _free(device: torch.device) -> float:
    """Bytes of a GPU that nobody uses, those included that the allocator of this process holds ready."""
    ready = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + ready
