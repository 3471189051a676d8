"""2^x, softplus and SiLU for compiled kernels, in arithmetic that is vectorised.

numba leaves an exponential to the C library, one call a number, and a loop around a call is not vectorised (the
vectorised ones are Intel's SVML, which few machines have). So float32 has an exponential of its own here. Float64,
which serves exactness alone, keeps the library's.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

LOG2_E = 1.4426950408889634
_LOG2_E = np.float32(LOG2_E)
_ROUND = np.float32(1.5 * 2**23)  # x + _ROUND has no room for a fraction: x is rounded, and lies in the lowest bits
_LEAST = np.float32(-126)  # 2^-126 is the least normal number
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
# 2^x = 1 + x P(x) within 2e-9 of itself for |x| <= 1/2: Cephes' exp2f, of the highest degree first
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(x) for x in (1.5353362e-4, 1.3398874e-3, 9.6184374e-3, 5.5503325e-2, 2.4022648e-1, 6.9314720e-1)
)
# ln(1 + z) = 2 artanh(s) = 2 s + 2 s^3 / 3 + ..., s = z / (2 + z), within 1e-8 of itself for 0 <= z <= 1
_S1, _S3, _S5, _S7, _S9, _S11, _S13 = (np.float32(2 / odd) for odd in range(1, 14, 2))

# Sums may be reordered and multiply-add fused: without that no reduction is vectorised.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract"}}
# Of what is made part of a loop here sums stay as written: reordered, x + _ROUND - _ROUND would be x.
_INLINED: dict[str, Any] = {**OPTIONS, "forceinline": True, "fastmath": {"contract"}}


def exp2_of_negative(x: float) -> float:
    """2^x for x <= 0, in kernels only; below the normal numbers 0.

    Of float32 within 1e-7 of itself. As exp(x), with x times LOG2_E, it is as exact as a float32 x lets it be.
    """
    raise NotImplementedError


def softplus(x: float) -> float:
    """ln(1 + exp(x)), in kernels only."""
    raise NotImplementedError


def silu(x: float) -> float:
    """x / (1 + exp(-x)), in kernels only."""
    raise NotImplementedError


@intrinsic
def _scaled(_: Any, power: Any, rounded: Any) -> tuple[Any, Any]:
    """power x 2^n of rounded = n + _ROUND: the lowest bits of one are added to the exponent of the other."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        power, rounded = (builder.bitcast(argument, word) for argument in arguments)
        return builder.bitcast(builder.add(power, builder.shl(rounded, ir.Constant(word, 23))), ir.FloatType())

    return types.float32(types.float32, types.float32), generate


def _exp2_32(x):
    rounded = x + _ROUND
    f = x - (rounded - _ROUND)
    power = _ONE + f * (_P5 + f * (_P4 + f * (_P3 + f * (_P2 + f * (_P1 + f * _P0)))))
    return _ZERO if x < _LEAST else _scaled(power, rounded)


def _softplus_32(x):
    z = exp2_of_negative(-abs(x) * _LOG2_E)
    s = z / (_TWO + z)
    q = s * s
    return max(x, _ZERO) + s * (_S1 + q * (_S3 + q * (_S5 + q * (_S7 + q * (_S9 + q * (_S11 + q * _S13))))))


def _silu_32(x):
    z = exp2_of_negative(-abs(x) * _LOG2_E)
    return x * (_ONE if x >= _ZERO else z) / (_ONE + z)


def _exp2_64(x):
    return np.exp2(x)


def _softplus_64(x):
    return max(x, 0.0) + np.log1p(np.exp(-abs(x)))


def _silu_64(x):
    return x / (1.0 + np.exp(-x))


def _by_type(function: Any, of_float32: Any, of_float64: Any) -> None:
    """Have kernels compile one of two functions where they call `function`."""
    overload(function, jit_options=_INLINED)(lambda x: {types.float32: of_float32, types.float64: of_float64}.get(x))


_by_type(exp2_of_negative, _exp2_32, _exp2_64)
_by_type(softplus, _softplus_32, _softplus_64)
_by_type(silu, _silu_32, _silu_64)
