"""Random numbers by counting: a draw depends on (key, step, index) alone, wherever and in whatever order it is made.

So the noise of a text does not depend on its batch, and only that of the ids that can win is ever made. Counting is in
integers, the same bits on every device; the logarithm at the end may differ in its last bit.
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
    rows = _mix(keys + _signed(step * _GOLDEN))[:, None]
    words = _mix(rows ^ _mix((ids + 1) * _GOLDEN))
    uniform = _shifted(words, 64 - _MANTISSA_BITS, words).double().add_(0.5).mul_(2.0**-_MANTISSA_BITS)
    return uniform.log_().neg_()


def _mix(words: torch.Tensor) -> torch.Tensor:
    """The finaliser of splitmix64, in place: every bit of the result depends on every bit of the argument."""
    room = torch.empty_like(words)
    words.bitwise_xor_(_shifted(words, 30, room)).mul_(_FIRST)
    words.bitwise_xor_(_shifted(words, 27, room)).mul_(_SECOND)
    return words.bitwise_xor_(_shifted(words, 31, room))


def _signed(number: int) -> int:
    """The int64 that has the lowest 64 bits of `number`."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _shifted(words: torch.Tensor, bits: int, out: torch.Tensor) -> torch.Tensor:
    """A logical shift to the right, written to `out`; that of int64 drags the sign along."""
    return torch.bitwise_right_shift(words, bits, out=out).bitwise_and_((1 << (64 - bits)) - 1)
