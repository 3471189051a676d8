"""Attention of one new token a row over its keys and values, on one CPU core.

A step of generation reads every key and value once and computes little: torch's kernel, made for many queries, takes
several times as long as memory does. `choose` has a model use it; whatever it is not made for goes to torch's kernel.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "one_token"


def forward(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """The attention of `module` as transformers wants it: (rows, queries, heads, size), and no weights."""
    if not _suits(query, key, value, attention_mask):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    out = np.empty((query.shape[0], query.shape[1], query.shape[3]), np.float32)
    queries = (query[:, :, 0] * scale).contiguous().numpy()
    _attend(queries, *_flat(key), *_flat(value), key.shape[1], key.shape[2], out)
    return torch.from_numpy(out)[:, None], None


def choose(model: Any) -> None:
    """Have `model` attend by `forward` where it would by torch's kernel (`sdpa`) on a CPU."""
    if model.device.type == "cpu" and getattr(model.config, "_attn_implementation", None) == "sdpa":
        AttentionInterface.register(NAME, forward)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def _suits(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> bool:
    """One token a row that sees everything before it, in float32 on one core of a CPU."""
    plain = query.shape[2] == 1 and mask is None and not torch.is_grad_enabled()
    dense = all(
        states.dtype == torch.float32 and states.stride()[2:] == (states.shape[3], 1) for states in (key, value)
    )
    return plain and dense and query.device.type == "cpu" and torch.get_num_threads() == 1


def _flat(states: torch.Tensor) -> tuple[np.ndarray, int, int]:
    """All memory behind (rows, heads, length, size) from its first item on, and what rows and heads lie apart."""
    behind = states.untyped_storage().nbytes() // states.itemsize - states.storage_offset()
    return states.as_strided((behind,), (1,)).numpy(), states.stride(0), states.stride(1)


@njit(cache=True, nogil=True, fastmath=True)
def _attend(queries, keys, key_row, key_head, values, value_row, value_head, n_key_heads, length, out):
    """softmax(q k) v for queries (rows, heads, size); heads share keys and values in groups of neighbours."""
    rows, heads, size = queries.shape
    weights = np.empty(length, np.float32)
    for row in range(rows):
        for head in range(heads):
            shared = head * n_key_heads // heads
            place, highest = row * key_row + shared * key_head, np.float32(-np.inf)
            for j in range(length):
                dot = np.float32(0)
                for d in range(size):
                    dot += queries[row, head, d] * keys[place + j * size + d]
                weights[j] = dot
                highest = max(highest, dot)
            total = np.float32(0)
            for j in range(length):
                weights[j] = np.exp(weights[j] - highest)
                total += weights[j]
            place = row * value_row + shared * value_head
            for d in range(size):
                out[row, head, d] = 0
            for j in range(length):
                weight = weights[j] / total
                for d in range(size):
                    out[row, head, d] += weight * values[place + j * size + d]
