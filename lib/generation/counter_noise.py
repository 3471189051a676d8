"""Random numbers by counting: a draw depends on (key, step, index) alone, wherever and in whatever order it is made.

So the noise of a text depends neither on its batch nor on the device, and only that of the ids that can win is ever
made.
"""

import torch

# splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), on int64 that wrap.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)
_MANTISSA_BITS = 53


def exponentials(keys: torch.Tensor, step: int, ids: torch.Tensor) -> torch.Tensor:
    """Independent draws from Exp(1), float64 of the shape of `ids`, all above 0.

    keys: int64, (rows,), one secret a row; step: how many draws of each (row, id) came before; ids: int64,
    (rows, k) or (1, k).
    """
    rows = _mixed(keys + _signed(step * _GOLDEN))[:, None]
    words = _mixed(rows ^ _mixed((ids + 1) * _GOLDEN))
    uniform = (_shifted(words, 64 - _MANTISSA_BITS).double() + 0.5) * 2.0**-_MANTISSA_BITS
    return uniform.log_().neg_()


def _mixed(words: torch.Tensor) -> torch.Tensor:
    """The finaliser of splitmix64: every bit of the result depends on every bit of the argument."""
    words = (words ^ _shifted(words, 30)) * _FIRST
    words = (words ^ _shifted(words, 27)) * _SECOND
    return words ^ _shifted(words, 31)


def _signed(number: int) -> int:
    """The int64 that has the lowest 64 bits of `number`."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _shifted(words: torch.Tensor, bits: int) -> torch.Tensor:
    """A logical shift to the right; that of int64 drags the sign along."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)
