"""Runs one new token per row through a layer of GPT-NeoX (Pythia) on one CPU core.

For so little work, transformers' path through rotary embedding, cache and torch's attention (some forty operations)
takes several times as long as reading keys and values. Here it is one kernel. `choose` makes the layers of a model use
it. Other inputs take transformers' path, which is as fast on several cores.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXLayer

from lib.kernels.vector_math import LOG2_E, OPTIONS, exp2_of_negative
from lib.models.attention_cache import BufferedLayer

_kernel = njit(cache=True, **OPTIONS)


class OneTokenLayer(GPTNeoXLayer):
    """A GPTNeoXLayer that is fast for one new token per row: the same weights and cache, the same numbers."""

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, layer_past: Any = None,
        position_embeddings: Any = None, **rest: Any,
    ) -> torch.Tensor:  # fmt: skip
        """rows x 1 x width in and out; the cache is brought up to date."""
        if not self._suits(hidden_states, attention_mask, layer_past):
            return super().forward(
                hidden_states,
                attention_mask=attention_mask,
                layer_past=layer_past,
                position_embeddings=position_embeddings,
                **rest,
            )
        attention = self.attention
        projected = attention.query_key_value(self.input_layernorm(hidden_states))
        cache = layer_past.layers[attention.layer_idx]
        cosines, sines = position_embeddings
        attended = attention.dense(attend(projected[:, 0], cache, cosines, sines, attention.scaling)[:, None])
        if self.use_parallel_residual:
            return self.mlp(self.post_attention_layernorm(hidden_states)) + attended + hidden_states
        attended = attended + hidden_states
        return self.mlp(self.post_attention_layernorm(attended)) + attended

    def _suits(self, hidden_states: torch.Tensor, mask: torch.Tensor | None, cache: Any) -> bool:
        """One token a row that sees everything before it, in float32 on one core."""
        one = hidden_states.shape[1] == 1 and mask is None and not torch.is_grad_enabled() and not self.training
        alone = hidden_states.device.type == "cpu" and torch.get_num_threads() == 1
        return one and alone and hidden_states.dtype == torch.float32 and _buffered(cache, self.attention.layer_idx)


def choose(model: torch.nn.Module) -> None:
    """Make the layers of a GPT-NeoX model fast for one token. Weights, names and saved files stay as they are."""
    for module in model.modules():
        if type(module) is GPTNeoXLayer:
            module.__class__ = OneTokenLayer  # survives copy.deepcopy, which a forward bound to the instance would not


def attend(
    projected: torch.Tensor, cache: BufferedLayer, cos: torch.Tensor, sin: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attention of one new token a row, (rows, width), whose key and value go to the cache.

    projected: (rows, 3 width), of every head query, key and value; cos, sin: (1, 1, d), the rotary embedding of the new
    position (Su et al. 2021), for the first d numbers of queries and keys. All float32.
    """
    keys, values, place = cache.take_place()
    heads, size = keys.shape[1], keys.shape[3]
    out = projected.new_empty(len(projected), heads, size)
    queries = projected.view(len(projected), heads, 3, size).numpy()
    _attend(queries, keys.numpy(), values.numpy(), place, cos[0, 0].numpy(), sin[0, 0].numpy(), scale, out.numpy())
    return out.flatten(1)


def _buffered(cache: Any, layer: int) -> bool:
    layers = getattr(cache, "layers", [])
    return layer < len(layers) and isinstance(layers[layer], BufferedLayer) and layers[layer].is_initialized


@_kernel
def _attend(projected, keys, values, place, cos, sin, scale, out):
    """softmax(q k) v over the positions up to `place`, to which key and value of the new token are written."""
    rows, heads, _, size = projected.shape
    weights = np.empty(place + 1, np.float32)
    query = np.empty(size, np.float32)
    for row in range(rows):
        for head in range(heads):
            key, value = keys[row, head], values[row, head]
            _rotate(projected[row, head, 0], cos, sin, query)
            _rotate(projected[row, head, 1], cos, sin, key[place])
            value[place] = projected[row, head, 2]
            for d in range(size):
                query[d] *= np.float32(scale * LOG2_E)
            _products(query, key, weights)
            _softmax(weights)
            _sum(weights, value, out[row, head])


@_kernel
def _rotate(given, cos, sin, out):
    """The rotary embedding of the first len(cos) numbers; the rest as it is."""
    half = len(cos) // 2
    out[:] = given
    for d in range(half):
        out[d] = given[d] * cos[d] - given[d + half] * sin[d]
        out[d + half] = given[d + half] * cos[d + half] + given[d] * sin[d + half]


@_kernel
def _products(query, key, products):
    for j in range(len(products)):
        total = np.float32(0)
        for d in range(len(query)):
            total += query[d] * key[j, d]
        products[j] = total


@_kernel
def _softmax(weights):
    """Weights that add up to 1, from logarithms to the base 2."""
    highest, total = weights.max(), np.float32(0)
    for j in range(len(weights)):
        weights[j] = exp2_of_negative(weights[j] - highest)
        total += weights[j]
    for j in range(len(weights)):
        weights[j] /= total


@_kernel
def _sum(weights, value, out):
    out[:] = 0
    for j in range(len(weights)):
        for d in range(len(out)):
            out[d] += weights[j] * value[j, d]
