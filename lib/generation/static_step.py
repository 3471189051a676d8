"""One id a row through a model, in buffers of fixed size and place, so that a GPU can replay the step as a CUDA graph.

Python needs some 10 ms to start the thousand kernels of a step, a GPU half of that to run them. Keys and values lie in
buffers for all positions (lib.models.attention_cache). A step writes to the position that a tensor names and attends to
the first `length` ones, of which a mask leaves out those that are empty; `length` grows by BUCKET, and each has a graph
of its own. The states of Mamba are of one size from the start. On a CPU the same step runs without a graph.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch

from lib.models import attention_cache, placement

logger = logging.getLogger(__name__)

BUCKET = 64  # positions
DEVICES = ("cuda",)  # where a step is worth it
# What is attended to is what the mask says, and nothing is done by the value of a tensor on the GPU; tests hold both.
MODELS = ("gpt_neo", "gpt_neox", "llama", "mamba", "phi")


def suits(model: torch.nn.Module, state: Any) -> bool:
    """Whether a state that has read something can be continued by `StaticStep`, and faster so.

    Keys and values that several heads share are not: with a mask, transformers copies them for every head. Nor is a
    model on several GPUs, whose states are not in one place.
    """
    config = model.config
    if model.device.type not in DEVICES or config.model_type not in MODELS or placement.is_spread(model):
        return False
    if config.model_type == "mamba":
        return True
    shared = getattr(config, "num_key_value_heads", config.num_attention_heads) != config.num_attention_heads
    return attention_cache.is_buffered(state) and config._attn_implementation == "sdpa" and not shared


class StaticStep:
    """The steps of one batch. forward: keyword arguments of a model -> logits (rows, 1, V); state: as it is now."""

    def __init__(self, forward: Callable[..., torch.Tensor], state: Any, rows: int, device: torch.device):
        self.forward, self.state = forward, state
        self.attends = attention_cache.is_buffered(state)
        self.ids = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.place = torch.zeros(1, dtype=torch.long, device=device)
        self.length, self.run = 0, _Replayed(self._through, device)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """Append one id to each row, int64 (rows,); float32 logits (rows, V), valid until the next call."""
        self.ids.copy_(ids[:, None])
        if not self.attends:
            return self.run()
        place = self.state.get_seq_length()
        self.place.fill_(place)
        if place >= self.length:
            self.length = min(self.state.layers[0].room, (place // BUCKET + 1) * BUCKET)
            self.run = _Replayed(self._through, self.ids.device)
        logits = self.run()
        attention_cache.advance(self.state)
        return logits

    def _through(self) -> torch.Tensor:
        if not self.attends:
            return self.forward(input_ids=self.ids)[:, -1]
        there = torch.arange(self.length, device=self.ids.device) <= self.place
        with attention_cache.writing_to(self.state, self.place, self.length):
            given = {"attention_mask": there[None, None, None], "position_ids": self.place[None]}
            return self.forward(input_ids=self.ids, **given)[:, -1]


class _Replayed:
    """A function of tensors in fixed places: called once, captured at the second call, then replayed; on a CPU called.

    Nothing is computed while it is captured, so a state that it changes moves on once a call.
    """

    def __init__(self, function: Callable[[], torch.Tensor], device: torch.device):
        self.function, self.on_gpu = function, device.type == "cuda"
        self.calls = 0
        self.graph: Any = None
        self.out: Any = None

    def __call__(self) -> torch.Tensor:
        self.calls += 1
        if self.on_gpu and self.calls == 2:
            self._capture()
        if self.graph is None:
            return self.function()
        self.graph.replay()
        return self.out

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.out = self.function()
        except RuntimeError as error:
            logger.warning("no CUDA graph of a decoding step (%s): its kernels are started one by one, slower", error)
        else:
            self.graph = graph
