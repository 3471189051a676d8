"""A batch of texts of equal length under a causal model: read once, then continued id by id.

Attention keeps keys and values, Mamba a convolution and a recurrent state, RWKV a list of tensors. Rows are never
padded: a recurrent state that has run over padding on the left is not that of the text.
"""

import inspect
from typing import Any

import torch

from lib.generation import static_step
from lib.models import attention_cache, gpt_neox_step, output_head, rwkv_scan

STATE_NAMES = ("past_key_values", "cache_params", "state")


class DecoderState:
    """The state of a model after the ids read so far, for a batch of rows.

    `read` gives hidden states where the model's head splits off (see lib.models.output_head), else logits themselves;
    `logits` turns either into float32 logits.
    """

    def __init__(self, model: torch.nn.Module, room: int, splits: bool):
        """room: the most ids that a row will ever have."""
        self.model = model.base_model if splits else model
        self.head = output_head.head(model) if splits else None
        self.state_name = state_name(self.model)
        attends = self.state_name == "past_key_values"
        self.state: Any = attention_cache.buffered(model.config, room) if attends else None
        self.can_forget = self.state is not None
        self.static: static_step.StaticStep | None = None
        if self.can_forget:
            gpt_neox_step.choose(model)

    def read(self, ids: torch.Tensor, keep: int = 1) -> torch.Tensor:
        """Append ids (rows, length); what the last `keep` positions predict is returned, (rows, keep, ...).

        More than one id at a time only at the beginning: recurrent models start from an empty state then.
        """
        return self._through(input_ids=ids)[:, -keep:]

    def _through(self, **given: torch.Tensor) -> torch.Tensor:
        output = self.model(use_cache=True, **{self.state_name: self.state}, **given)
        self.state = output[self.state_name]
        return output["last_hidden_state"] if self.head else output["logits"]

    def logits(self, predicting: torch.Tensor) -> torch.Tensor:
        """Float32 logits (..., V) of what `read` returned, or of any part of it."""
        return (self.head(predicting) if self.head else predicting).float()

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """Append one id to each row, int64 (rows,); float32 logits (rows, V) of what follows, valid until the next."""
        if self.static is None and static_step.suits(self.model, self.state):
            self.static = static_step.StaticStep(self._after, self.state, len(ids), ids.device)
        return self.static(ids) if self.static else self.logits(self.read(ids[:, None])[:, -1])

    def _after(self, **given: torch.Tensor) -> torch.Tensor:
        return self.logits(self._through(**given))

    def forget(self, count: int) -> None:
        """Go back by `count` ids, where `can_forget`."""
        self.state.crop(-count)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, int64 (kept,)."""
        self.static = None
        if isinstance(self.state, list):  # RWKV
            self.state = [part.index_select(0, rows) for part in self.state]
        else:
            self.state.reorder_cache(rows)


def state_name(model: torch.nn.Module) -> str:
    """The argument of `forward` that takes the state; one of STATE_NAMES."""
    known = inspect.signature(model.forward).parameters
    return next(name for name in STATE_NAMES if name in known)


def rows_together(model: torch.nn.Module, wanted: int) -> int:
    """How many rows may be continued at once."""
    return 1 if rwkv_scan.mixes_rows(model) else wanted
