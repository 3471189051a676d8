"""Keys and values of attention in buffers of their final length, so that a step writes one column and copies nothing.

transformers' own growing cache copies all of it at every step, its static one attends over the empty rest as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


class BufferedLayer(DynamicLayer):
    """A layer whose keys and values (rows, heads, length, size) are the filled part of buffers for `room` positions."""

    def __init__(self, room: int):
        super().__init__()
        self.room = room
        self.told: tuple[torch.Tensor, int] | None = None  # see `writing_to`

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate both buffers."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self._buffers = tuple(
            states.new_zeros((*states.shape[:2], self.room, states.shape[3])) for states in (key_states, value_states)
        )
        self._fill(0)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new positions; returns all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.told is not None:
            return self._write(key_states, value_states, *self.told)
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states)):
            buffer[:, :, start:stop] = states
        self._fill(stop)
        return self.keys, self.values

    def _write(
        self, key_states: torch.Tensor, value_states: torch.Tensor, place: torch.Tensor, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        for buffer, states in zip(self._buffers, (key_states, value_states)):
            buffer.index_copy_(2, place, states)
        keys, values = self._buffers
        return keys[:, :, :length], values[:, :, :length]

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
        """Forget the last positions; their number is given negated, as transformers has it. Of `advance`: one more."""
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


def is_buffered(cache: Any) -> bool:
    """Whether it is a cache of `buffered`."""
    return isinstance(cache, DynamicCache) and all(type(layer) is BufferedLayer for layer in cache.layers)


@contextmanager
def writing_to(cache: DynamicCache, place: torch.Tensor, length: int) -> Iterator[None]:
    """Meanwhile the states of one new position go where `place` says, int64 (1,), and updates return the first `length`
    positions, filled or not (zeros): nothing then depends on how many are filled. `advance` counts it."""
    for layer in cache.layers:
        layer.told = (place, length)
    try:
        yield
    finally:
        for layer in cache.layers:
            layer.told = None


def advance(cache: DynamicCache) -> None:
    """One more position is filled in every layer."""
    for layer in cache.layers:
        layer.crop(1)


def size(state: Any) -> int:
    """Bytes of all tensors that a model keeps of the texts it reads: transformers' Cache, or a list of tensors."""
    parts = state if isinstance(state, list) else [vars(layer) for layer in state.layers]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in _tensors(parts)}
    return sum(storages.values())  # views of one storage count once


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
