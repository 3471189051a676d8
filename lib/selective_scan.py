"""The selective scan of Mamba (Gu & Dao 2023, section 3.2) on a CPU, forward and backward.

For every row b, time t and channel d, with a state of N numbers a channel:

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t        y_t = C_t . h_t

The recurrence runs over blocks of time steps that fit the cache. Only the states between blocks are kept for the
backward pass, which runs each block again: memory grows with length / block, not with length.
"""

from typing import Any

import torch
from numba import njit

BLOCK_ELEMENTS = 1 << 17  # batch x steps x N x D: half a megabyte of float32
SHORTEST_TRAINING_BLOCK = 8  # so that no more than an eighth of all states is kept

# Sums may be reordered and multiply-add fused: without that no reduction is vectorised.
_kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


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
    tensors = [u, delta, A.T, B, C, state.transpose(1, 2)]  # channels innermost: they are what is vectorised over
    needed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    y, last = _Scan.apply(*tensors) if needed else _forward(*_contiguous(tensors), _block(u, A, 1))[:2]
    return y, last.transpose(1, 2)


def single_step(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor, state: torch.Tensor
) -> torch.Tensor:
    """y of one time step, without gradients; `state` (batch x D x N) is brought up to date in place.

    u, delta, y: batch x D; A: D x N; B, C: batch x N. The scan would turn the whole state around twice for one step.
    """
    state.mul_((delta[:, :, None] * A).exp_()).addcmul_((delta * u)[:, :, None], B[:, None, :])
    return torch.bmm(state, C[:, :, None])[:, :, 0]


class _Scan(torch.autograd.Function):
    """The scan with A as N x D and the state as batch x N x D."""

    @staticmethod
    def forward(ctx: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        u, _, A, *_ = tensors = _contiguous(tensors)
        ctx.block = _block(u, A, SHORTEST_TRAINING_BLOCK)
        y, last, between = _forward(*tensors, ctx.block, keep=True)
        ctx.save_for_backward(*tensors[:-1], *between)
        return y, last

    @staticmethod
    def backward(ctx: Any, grad_y: torch.Tensor, grad_last: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u, delta, A, B, C, *between = ctx.saved_tensors
        return _backward(u, delta, A, B, C, between, ctx.block, *_contiguous([grad_y, grad_last]))


def _forward(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor, state: torch.Tensor,
    block: int, keep: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:  # fmt: skip
    """y, the last state, and (if kept) the state before every block."""
    drive, y, between = delta * u, torch.zeros_like(u), []
    decay, states = _buffers(state, min(block, u.shape[1]))
    states[:, 0] = state
    for start, stop in _blocks(u.shape[1], block):
        if keep:
            between.append(states[:, 0].clone())
        _decay(delta, A, start, stop, decay)
        _run(start, stop, *_arrays(decay, drive, B, C, states, y))
        states[:, 0] = states[:, stop - start]
    return y, states[:, 0].clone(), between


def _backward(
    u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor,
    between: list[torch.Tensor], block: int, grad_y: torch.Tensor, grad_state: torch.Tensor,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Gradients of u, delta, A, B, C and the first state."""
    drive, grad_state = delta * u, grad_state.clone()
    again, grad_drive, grad_delta, grad_A, grad_B, grad_C = map(torch.zeros_like, (u, u, u, A, B, C))
    decay, states = _buffers(grad_state, min(block, u.shape[1]))
    for (start, stop), state in reversed(list(zip(_blocks(u.shape[1], block), between))):
        states[:, 0] = state
        _decay(delta, A, start, stop, decay)
        _run(start, stop, *_arrays(decay, drive, B, C, states, again))
        _run_back(
            start, stop, *_arrays(decay, drive, delta, A, B, C, states, grad_y),
            *_arrays(grad_state, grad_drive, grad_delta, grad_A, grad_B, grad_C),
        )  # fmt: skip
    return grad_drive * delta, grad_delta + grad_drive * u, grad_A, grad_B, grad_C, grad_state


@_kernel
def _run(start, stop, decay, drive, B, C, states, y):
    """states[:, i + 1] and y of the time steps start <= t < stop, from states[:, 0]."""
    rows, _, N, D = decay.shape
    for b in range(rows):
        for t in range(start, stop):
            i = t - start
            for n in range(N):
                for d in range(D):
                    h = decay[b, i, n, d] * states[b, i, n, d] + drive[b, t, d] * B[b, t, n]
                    states[b, i + 1, n, d] = h
                    y[b, t, d] += h * C[b, t, n]


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


def _block(u: torch.Tensor, A: torch.Tensor, shortest: int) -> int:
    return max(shortest, BLOCK_ELEMENTS // max(1, len(u) * A.numel()))


def _blocks(length: int, block: int) -> list[tuple[int, int]]:
    return [(start, min(length, start + block)) for start in range(0, length, block)]


def _buffers(state: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows, *shape = state.shape
    return state.new_empty(rows, steps, *shape), state.new_empty(rows, steps + 1, *shape)


def _decay(delta: torch.Tensor, A: torch.Tensor, start: int, stop: int, out: torch.Tensor) -> None:
    """exp(delta A) of the steps, in `out`: torch's exp is vectorised, a compiled kernel's is not."""
    torch.mul(delta[:, start:stop, None, :], A, out=out[:, : stop - start]).exp_()


def _contiguous(tensors: Any) -> list[torch.Tensor]:
    return [tensor.detach().contiguous() for tensor in tensors]


def _arrays(*tensors: torch.Tensor) -> list[Any]:
    return [tensor.numpy() for tensor in tensors]


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
