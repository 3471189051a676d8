"""The selective scan of Mamba (Gu & Dao 2023, section 3.2) on a CPU, forward and backward.

For every row b, time t and channel d, with a state of N numbers a channel:

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t        y_t = C_t . h_t

Going forward, one state is brought up to date step by step; exp(delta A) is never stored. For the backward pass the
states between blocks of time steps are kept, and each block, which fits the cache, is run again: memory grows with
length / block, not with length.

Kernels have channels innermost (A as N x D, states as rows x N x D), for they are what is vectorised over.
"""

from typing import Any

import numpy as np
import torch
from numba import njit

from lib.kernels.vector_math import LOG2_E, OPTIONS, exp2_of_negative, silu, softplus

BLOCK_ELEMENTS = 1 << 17  # batch x steps x N x D: half a megabyte of float32
SHORTEST_BLOCK = 8  # so that no more than an eighth of all states is kept

_kernel = njit(cache=True, **OPTIONS)
_part = njit(forceinline=True, **OPTIONS)  # of the kernel that calls it


def selective_scan(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """(y, the last state) of the recurrence above, from `state` (zero when None); differentiable in every argument.

    u, delta: batch x length x D, delta positive; A: D x N, negative; B, C: batch x length x N; state: batch x D x N.
    y: like u; the last state: like `state`. All float32 or all float64, on the CPU.
    Raises ValueError naming the argument whose shape, type or device is another.
    """
    if state is None:
        state = u.new_zeros(len(u), *A.shape)
    arguments = {"u": u, "delta": delta, "A": A, "B": B, "C": C, "state": state}
    _check(arguments)
    y, last = _Scan.apply(u, delta, A.T, B, C, state.transpose(1, 2))
    return y, last.transpose(1, 2)


def gated_scan(
    u: torch.Tensor, step: torch.Tensor, bias: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor,
    D: torch.Tensor, projected: torch.Tensor, state: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """(C_t . h_t + D u_t) silu(gate_t) with delta = softplus(step + bias), in one go and without gradients.

    u, step, y: batch x length x D; bias, D: D; A: D x N, negative; B, C: batch x length x N; projected: batch x length
    x 2 D, the gate in its second half; state: batch x N x D, brought up to date in place. All float32 or all float64;
    u, step, bias, D, projected and state contiguous.
    """
    y = torch.empty_like(u)
    _gated(*_arrays(u, step, bias, _base_2(A.T), B, C, D, projected, state, y))
    return y


class _Scan(torch.autograd.Function):
    """The scan with A as N x D and the state as batch x N x D."""

    @staticmethod
    def forward(ctx: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        u, delta, A, B, C, state = _contiguous(tensors)
        ctx.block = max(SHORTEST_BLOCK, BLOCK_ELEMENTS // max(1, len(u) * A.numel()))
        y, last, between = _forward(u, delta, A, B, C, state, ctx.block)
        ctx.save_for_backward(u, delta, A, B, C, *between)
        return y, last

    @staticmethod
    def backward(ctx: Any, grad_y: torch.Tensor, grad_last: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u, delta, A, B, C, *between = ctx.saved_tensors
        return _backward(u, delta, A, B, C, between, ctx.block, *_contiguous([grad_y, grad_last]))


def _forward(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor, state: torch.Tensor,
    block: int,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:  # fmt: skip
    """y, the last state, and the state before every block."""
    y, state, between = torch.zeros_like(u), state.clone(), []
    arrays = _arrays(delta, _base_2(A), delta * u, B, C, state, y)
    for start, stop in _blocks(u.shape[1], block):
        between.append(state.clone())
        _run(start, stop, *arrays)
    return y, state, between


def _backward(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor,
    between: list[torch.Tensor], block: int, grad_y: torch.Tensor, grad_state: torch.Tensor,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Gradients of u, delta, A, B, C and the first state."""
    drive, base_2, grad_state = delta * u, _base_2(A), grad_state.clone()
    grad_drive, grad_delta, grad_A, grad_B, grad_C = map(torch.zeros_like, (u, u, A, B, C))
    decay, states = _buffers(grad_state, min(block, u.shape[1]))
    for (start, stop), state in reversed(list(zip(_blocks(u.shape[1], block), between))):
        states[:, 0] = state
        _run_again(start, stop, *_arrays(delta, base_2, drive, B, decay, states))
        _run_back(
            start,
            stop,
            *_arrays(decay, drive, delta, A, B, C, states, grad_y),
            *_arrays(grad_state, grad_drive, grad_delta, grad_A, grad_B, grad_C),
        )
    return grad_drive * delta, grad_delta + grad_drive * u, grad_A, grad_B, grad_C, grad_state


@_part
def _advance(delta, A, drive, B, C, state, y):
    """One time step of one row: the state in place, and C . h added to y. `A` is that of powers of 2."""
    N, D = A.shape
    for n in range(N):
        into, out = B[n], C[n]
        for d in range(D):
            h = exp2_of_negative(delta[d] * A[n, d]) * state[n, d] + drive[d] * into
            state[n, d] = h
            y[d] += h * out


@_kernel
def _run(start, stop, delta, A, drive, B, C, state, y):
    """The time steps start <= t < stop."""
    for b in range(len(y)):
        for t in range(start, stop):
            _advance(delta[b, t], A, drive[b, t], B[b, t], C[b, t], state[b], y[b, t])


@_kernel
def _gated(u, step, bias, A, B, C, D, projected, state, y):
    """All time steps, with what goes before and after them. One row of delta at a time stays in the cache."""
    rows, length, channels = u.shape
    delta, drive = np.empty_like(bias), np.empty_like(bias)
    for b in range(rows):
        for t in range(length):
            for d in range(channels):
                delta[d] = softplus(step[b, t, d] + bias[d])
                drive[d] = delta[d] * u[b, t, d]
                y[b, t, d] = D[d] * u[b, t, d]
            _advance(delta, A, drive, B[b, t], C[b, t], state[b], y[b, t])
            for d in range(channels):
                y[b, t, d] *= silu(projected[b, t, channels + d])


@_kernel
def _run_again(start, stop, delta, A, drive, B, decay, states):
    """exp(delta A) and states[:, i + 1] of the time steps start <= t < stop, from states[:, 0]."""
    rows, _, N, D = decay.shape
    for b in range(rows):
        for t in range(start, stop):
            i = t - start
            for n in range(N):
                into = B[b, t, n]
                for d in range(D):
                    decay[b, i, n, d] = exp2_of_negative(delta[b, t, d] * A[n, d])
                    states[b, i + 1, n, d] = decay[b, i, n, d] * states[b, i, n, d] + drive[b, t, d] * into


@_kernel
def _run_back(start, stop, decay, drive, delta, A, B, C, states, grad_y,
              grad_state, grad_drive, grad_delta, grad_A, grad_B, grad_C):  # fmt: skip
    """Add the gradients of the time steps start <= t < stop; grad_state is that of the last state, then of the first.

    Two loops over the channels, since a loop over more arrays is not vectorised.
    """
    rows, _, N, D = decay.shape
    for b in range(rows):
        for t in range(stop - 1, start - 1, -1):
            i = t - start
            for n in range(N):
                into_B, into_C = grad_B[b, t, n], grad_C[b, t, n]
                for d in range(D):
                    g = grad_state[b, n, d] + grad_y[b, t, d] * C[b, t, n]
                    grad_state[b, n, d] = g
                    into_C += grad_y[b, t, d] * states[b, i + 1, n, d]
                    into_B += g * drive[b, t, d]
                    grad_drive[b, t, d] += g * B[b, t, n]
                grad_B[b, t, n], grad_C[b, t, n] = into_B, into_C
                for d in range(D):
                    g = grad_state[b, n, d] * decay[b, i, n, d]
                    grad_state[b, n, d] = g
                    grad_delta[b, t, d] += g * states[b, i, n, d] * A[n, d]
                    grad_A[n, d] += g * states[b, i, n, d] * delta[b, t, d]


def _blocks(length: int, block: int) -> list[tuple[int, int]]:
    return [(start, min(length, start + block)) for start in range(0, length, block)]


def _buffers(state: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows, *shape = state.shape
    return state.new_empty(rows, steps, *shape), state.new_empty(rows, steps + 1, *shape)


def _base_2(A: torch.Tensor) -> torch.Tensor:
    """What exp2(delta A) takes for A, where exp is meant."""
    return (A * LOG2_E).contiguous()


def _contiguous(tensors: Any) -> list[torch.Tensor]:
    return [tensor.detach().contiguous() for tensor in tensors]


def _arrays(*tensors: torch.Tensor) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]


def _check(arguments: dict[str, torch.Tensor]) -> None:
    rows, length, D = arguments["u"].shape
    N = arguments["A"].shape[-1]
    per_step = (rows, length, N)
    shapes = {"delta": (rows, length, D), "A": (D, N), "B": per_step, "C": per_step, "state": (rows, D, N)}
    for name, shape in shapes.items():
        if tuple(arguments[name].shape) != shape:
            raise ValueError(f"{name} has the shape {tuple(arguments[name].shape)}, {shape} fits u and A")
    for name, tensor in arguments.items():
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.dtype != arguments["u"].dtype:
            raise ValueError(f"{name} is {tensor.dtype}; all must be float32, or all float64")
        if tensor.device.type != "cpu":
            raise ValueError(f"{name} is on {tensor.device}; this scan runs on the CPU")
