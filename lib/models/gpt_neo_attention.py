"""GPT-Neo's attention through torch's fused attention, and its GELU as one kernel.

transformers writes every matrix of GPT-Neo's attention out in float32. Here layers that see everything take torch's
causal kernel; layers that see a window take blocks of a window's length, each against itself and the block before.
`choose` makes a model use it. Results are those of transformers up to rounding (5e-5 of the logits in float32).
"""

from typing import Any

import torch
from torch.nn import functional
from transformers.activations import NewGELUActivation
from transformers.models.gpt_neo.modeling_gpt_neo import GPTNeoMLP, GPTNeoSelfAttention


class FusedSelfAttention(GPTNeoSelfAttention):
    """GPTNeoSelfAttention with the same weights, buffers and cache; it has no attention weights to return."""

    def _attn(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None]:
        """Attend; query: rows x heads x new x size; key, value: rows x heads x all x size; scores are not scaled.

        attention_mask: bool, rows x 1 x new x all, whether a key is seen; None where each token sees all before it.
        """
        window = self.config.window_size if self.attention_type == "local" else key.shape[2]
        new = query.shape[2]
        if attention_mask is not None:
            near = self._near_the_last(attention_mask, window) if new == 1 else self._near(new, key.shape[2])
            return self._fused(query, key, value, attn_mask=attention_mask & near), None
        if new == 1:
            return self._fused(query, key[:, :, -window:], value[:, :, -window:]), None
        if new <= window:
            return self._fused(query, key, value, is_causal=True), None
        return self._windowed(query, key, value, window), None

    def _fused(self, *states: torch.Tensor, **options: Any) -> torch.Tensor:
        dropped = self.attn_dropout.p if self.training else 0.0
        return functional.scaled_dot_product_attention(*states, dropout_p=dropped, scale=1.0, **options)

    def _near(self, new: int, total: int) -> torch.Tensor:
        """Which keys this layer lets the last `new` of `total` positions see: bool, 1 x 1 x new x total."""
        return self.bias[:, :, total - new : total, :total]

    def _near_the_last(self, mask: torch.Tensor, window: int) -> torch.Tensor:
        """Which keys the last one that is seen may see, wherever it stands: in a static step empty ones follow it."""
        places = torch.arange(mask.shape[-1], device=mask.device)
        return places > (places * mask).amax(-1, keepdim=True) - window

    def _windowed(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int) -> torch.Tensor:
        """The first block sees itself; of the others each token sees its own block and the one before, to the window.

        The length is filled up to whole blocks with keys that no token sees.
        """
        rows, length = len(query), query.shape[2]
        first = self._fused(query[:, :, :window], key[:, :, :window], value[:, :, :window], is_causal=True)
        queries, keys, values = (_blocks(states, window) for states in (query, key, value))
        both = [torch.cat([blocks[:, :, :-1], blocks[:, :, 1:]], dim=3) for blocks in (keys, values)]
        near = query.new_ones(window, 2 * window, dtype=torch.bool).triu(1).tril(window)
        folded = (states.transpose(1, 2).flatten(0, 1) for states in (queries[:, :, 1:], *both))
        others = self._fused(*folded, attn_mask=near).unflatten(0, (rows, -1)).transpose(1, 2).flatten(2, 3)
        return torch.cat([first, others[:, :, : length - window]], dim=2)


def _blocks(states: torch.Tensor, size: int) -> torch.Tensor:
    """rows x heads x length x n as rows x heads x blocks x size x n, the last block filled up with zeros."""
    return functional.pad(states, (0, 0, 0, -states.shape[2] % size)).unflatten(2, (-1, size))


def choose(model: torch.nn.Module) -> None:
    """Make the layers of a GPT-Neo model use fused attention and GELU. Weights, names and saved files stay."""
    for module in model.modules():
        if type(module) is GPTNeoSelfAttention:
            module.__class__ = FusedSelfAttention  # survives copy.deepcopy, which a forward bound to it would not
        elif isinstance(module, GPTNeoMLP) and type(module.act) is NewGELUActivation:
            module.act = torch.nn.GELU(approximate="tanh")  # the same function
    model.config._attn_implementation = "sdpa"  # so that masks are made as torch takes them: bool, or none
