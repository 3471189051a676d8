"""Keys and values of attention in buffers of their final length, so that a step writes one column and copies nothing.

transformers' own growing cache copies all of it at every step, its static one attends over the empty rest as well.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


class BufferedLayer(DynamicLayer):
    """A layer whose keys and values (rows, heads, length, size) are the filled part of buffers for `room` positions."""

    def __init__(self, room: int):
        super().__init__()
        self.room = room

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate both buffers."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self._buffers = tuple(
            states.new_empty((*states.shape[:2], self.room, states.shape[3])) for states in (key_states, value_states)
        )
        self._fill(0)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new positions; returns all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states)):
            buffer[:, :, start:stop] = states
        self._fill(stop)
        return self.keys, self.values

    def take_place(self) -> tuple[torch.Tensor, torch.Tensor, int]:
        """The buffers (rows, heads, room, size) and the position of one more token, for the caller to fill in.

        Raises IndexError when they are full.
        """
        place = self.get_seq_length()
        if place == self.room:
            raise IndexError(f"no room for more than {self.room} positions")
        self._fill(place + 1)
        return *self._buffers, place

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last positions; their number is given negated, as transformers has it."""
        self._fill(self.get_seq_length() + tokens_to_remove)

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Go on with these rows."""
        length = self.get_seq_length()
        self._buffers = tuple(buffer.index_select(0, beam_idx.to(self.device)) for buffer in self._buffers)
        self._fill(length)

    def get_seq_length(self) -> int:
        """How many positions are filled."""
        return self.keys.shape[2] if self.is_initialized else 0

    def _fill(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)


def buffered(config: Any, room: int) -> DynamicCache | None:
    """An empty cache for `room` positions, or None for a model whose layers keep anything else (windows, states)."""
    cache = DynamicCache(config=config)
    if not cache.layers or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    cache.layers = [BufferedLayer(room) for _ in cache.layers]
    return cache
