"""Reads many texts that begin alike with a causal model: a token after the same tokens is read once.

Tokens are the nodes of a tree. A node sees the nodes on its way to the root alone, by the mask of attention, and its
place is its depth; so it has the states that it would have in a text of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lib.base.errors import UsageError
from lib.models import attention_cache, limits, output_head

MODELS = ("gpt2", "gpt_neox", "llama", "phi")  # that attend to what a mask says, at the places they are told


class PrefixTree:
    """A tree of tokens under a causal model; node 0 is the first of `stem`, the last of it len(stem) - 1."""

    def __init__(self, model: PreTrainedModel, stem: Sequence[int], room: int):
        """stem: the ids of one text, at least one, read at once; room: the most nodes that there will ever be.

        Raises UsageError for another kind of model, and for a stem that leaves no position for one more token.
        """
        most, kind = limits.positions(model), model.config.model_type
        if kind not in MODELS:
            raise UsageError(f"a {kind} model cannot read a tree of texts; name one of {', '.join(MODELS)}")
        if most is not None and len(stem) >= most:
            raise UsageError(f"a text has {len(stem)} tokens; the model reads {most}; name a model that reads more")
        self.model, self.head = model, output_head.head(model)
        self.cache: Any = attention_cache.buffered(model.config, room)
        self.size = len(stem)
        self.depth = np.arange(room)
        self.seen = np.tri(room, dtype=bool)
        self.stem = self._predictions(torch.tensor([list(stem)], device=model.device), None)

    def grow(self, parents: NDArray[np.int64], ids: NDArray[np.int64]) -> torch.Tensor:
        """Add a node for each of `ids` below its parent; float32 logits (n, V) of what follows each."""
        new = np.arange(self.size, self.size + len(ids))
        self.size += len(ids)
        self.depth[new] = self.depth[parents] + 1
        self.seen[new] = self.seen[parents]
        self.seen[new, new] = True
        return self._predictions(torch.from_numpy(ids)[None].to(self.model.device), new)

    def cut(self, count: int) -> None:
        """Forget the last `count` nodes."""
        self.cache.crop(-count)
        self.size -= count

    @torch.inference_mode()
    def _predictions(self, ids: torch.Tensor, nodes: NDArray[np.int64] | None) -> torch.Tensor:
        hidden = self.model.base_model(input_ids=ids, past_key_values=self.cache, use_cache=True, **self._sight(nodes))
        return self.head(hidden.last_hidden_state[0]).float()

    def _sight(self, nodes: NDArray[np.int64] | None) -> dict[str, torch.Tensor]:
        if nodes is None:  # the stem: a text like any other
            return {}
        seen = torch.from_numpy(self.seen[nodes, : self.size])
        hidden = torch.zeros(seen.shape, dtype=self.model.dtype).masked_fill(~seen, torch.finfo(self.model.dtype).min)
        sight = {"attention_mask": hidden[None, None], "position_ids": torch.from_numpy(self.depth[nodes])[None]}
        return {name: value.to(self.model.device) for name, value in sight.items()}
