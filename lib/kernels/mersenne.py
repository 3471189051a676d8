"""Arithmetic modulo the Mersenne prime 2^61 - 1, for compiled kernels: numba itself has no product of 128 bits."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

PRIME = (1 << 61) - 1
_PRIME, _BITS, _ONE = np.uint64(PRIME), np.uint64(61), np.uint64(1)


@intrinsic
def multiply_add(_: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """A number congruent to a b + c, at most a b / 2^61 + 2^61 + c / 2^61: reduced once, `least` does the rest.

    a, b, c: uint64, in kernels only. With b below 2^59 and c below 2^62 results below 2^62 stay below it.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, wide = ir.IntType(64), ir.IntType(128)
        a, b, c = (builder.zext(argument, wide) for argument in arguments)
        total = builder.add(builder.mul(a, b), c)
        high = builder.trunc(builder.lshr(total, ir.Constant(wide, 61)), word)
        low = builder.and_(builder.trunc(total, word), ir.Constant(word, PRIME))
        return builder.add(low, high)

    return types.uint64(types.uint64, types.uint64, types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def least(a):
    """The number from 0 to 2^61 - 2 that `a` (uint64, below 2^63) is congruent to."""
    a = (a & _PRIME) + (a >> _BITS)
    return a - _PRIME if a >= _PRIME else a
