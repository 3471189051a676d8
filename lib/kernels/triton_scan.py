"""Mamba's selective scan and convolution on a GPU: what lib/kernels/selective_scan.py is on a CPU, with its arguments.

Written in Triton, which comes with torch's builds for CUDA and needs no compiler of CUDA's. A program goes through the
time of one row with the states of a few channels in registers: each thread has all N numbers of a channel. Only the
last state is written, and for the pass back those between blocks of BLOCK time steps, from which a block is run again.

Sums are in float32 (in float64 for float64), whatever the type of the arguments. Two runs on one GPU give the same
bits: nothing is added up by atomic operations. With TRITON_INTERPRET=1 in the environment all of it runs on a CPU.
"""

from typing import Any

import torch
import triton
import triton.language as tl

from lib.kernels.vector_math import LOG2_E

CHANNELS = 32  # of a program: those of one warp
BLOCK = 32  # time steps whose states are kept at once while going back

_LOG2_E = tl.constexpr(LOG2_E)
FLOATS = {torch.float64: tl.float64}  # what is summed in; float32 for all other types


def selective_scan(
    u: torch.Tensor,
    delta: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(y, the last state), differentiable in every argument; see lib.kernels.selective_scan.

    u, delta: batch x length x D, delta positive; A: D x N, negative; B, C: batch x length x N; state: batch x D x N.
    """
    state = u.new_zeros(len(u), *A.shape) if state is None else state
    y, last = _Scan.apply(u, delta, A.T, B, C, state.mT)
    return y, last.mT


def gated_scan(
    u: torch.Tensor,
    step: torch.Tensor,
    bias: torch.Tensor,
    A_log: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
    projected: torch.Tensor,
    state: torch.Tensor,
) -> torch.Tensor:
    """(C_t . h_t + D u_t) silu(gate_t) with delta = softplus(step + bias), in one go and without gradients.

    u, step, y: batch x length x D; bias, D: D; A_log: D x N, ln(-A); B, C: batch x length x N, slices of one tensor;
    projected: batch x length x 2 D, the gate in its second half; state: batch x N x D, in float32 or float64, brought
    up to date in place. All but B and C contiguous.
    """
    y = torch.empty_like(u)
    _run(
        _gated,
        u,
        u,
        step,
        bias,
        A_log,
        B,
        C,
        D,
        projected,
        state,
        y,
        u.shape[1],
        u.shape[2],
        B.stride(1),
        **_states(A_log.shape[1], u),
    )
    return y


def convolved(
    projected: torch.Tensor, window: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, activate: bool
) -> torch.Tensor:
    """The causal convolution over time of the first D of `projected`, and perhaps silu of it, batch x length x D.

    projected: batch x length x 2 D; window: batch x K x D, the last inputs before, and then at the end; weight: D x K;
    bias: D. All contiguous.
    """
    (D, K), shape = weight.shape, projected.shape
    found = projected.new_empty(*shape[:2], D)
    sizes = {"K": K, "FLOAT": FLOATS.get(found.dtype, tl.float32), "BIAS": bias is not None, "ACTIVATE": activate}
    shift = weight if bias is None else bias
    _run(_convolve, found, projected, window, weight, shift, found, shape[1], D, **sizes)
    return found


def serves(device: torch.device) -> bool:
    """Whether the kernels run there: on a GPU, or anywhere when they are interpreted."""
    return device.type == "cuda" or not isinstance(_gated, triton.JITFunction)


class _Scan(torch.autograd.Function):
    """The scan with A as N x D and the state as batch x N x D."""

    @staticmethod
    def forward(ctx: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        u, delta, A, B, C, state = (tensor.detach().contiguous() for tensor in tensors)
        y, last = torch.empty_like(u), torch.empty_like(state)
        between = u.new_empty(len(u), triton.cdiv(u.shape[1], BLOCK), *A.shape)
        sizes = {**_states(len(A), u), "BLOCK": BLOCK}
        _run(_forward, u, u, delta, _base_2(A), B, C, state, y, last, between, u.shape[1], u.shape[2], **sizes)
        ctx.save_for_backward(u, delta, A, B, C, between)
        return y, last

    @staticmethod
    def backward(ctx: Any, grad_y: torch.Tensor, grad_last: torch.Tensor) -> tuple[torch.Tensor, ...]:
        u, delta, A, B, C, between = ctx.saved_tensors
        rows, length, channels = u.shape
        programs = triton.cdiv(channels, CHANNELS)  # each of a row has its part of a sum over channels
        grad_u, grad_delta, grad_state = torch.empty_like(u), torch.empty_like(u), grad_last.contiguous().clone()
        grad_A = torch.empty_like(grad_state)
        grad_B, grad_C = (u.new_empty(programs, rows, length, len(A)) for _ in range(2))
        again = u.new_empty(rows, BLOCK, *A.shape)
        _run(
            _backward,
            u,
            u,
            delta,
            _base_2(A),
            A,
            B,
            C,
            between,
            again,
            grad_y.contiguous(),
            grad_state,
            grad_u,
            grad_delta,
            grad_A,
            grad_B,
            grad_C,
            length,
            channels,
            **_states(len(A), u),
            BLOCK=BLOCK,
        )
        return grad_u, grad_delta, grad_A.sum(0), grad_B.sum(0), grad_C.sum(0), grad_state


def _run(kernel: Any, like: torch.Tensor, *arguments: Any, **sizes: Any) -> None:
    """A program for every row of `like` (batch x length x D) and CHANNELS of its channels, each a warp."""
    grid = (len(like), triton.cdiv(like.shape[2], CHANNELS))
    if like.numel():
        with torch.cuda.device_of(like):
            kernel[grid](*arguments, **sizes, CHANNELS=CHANNELS, num_warps=1)


def _states(N: int, like: torch.Tensor) -> dict[str, Any]:
    """N, rounded up to a power of 2 as Triton wants it, and what is summed in."""
    return {"N": N, "STATES": triton.next_power_of_2(N), "FLOAT": FLOATS.get(like.dtype, tl.float32)}


def _base_2(A: torch.Tensor) -> torch.Tensor:
    """What exp2(delta A) takes for A, where exp is meant."""
    return (A * LOG2_E).contiguous()


@triton.jit
def _softplus(x):
    """ln(1 + exp(x)). Where 1 + z rounds, the ratio of z to what was added makes up for it (Kahan)."""
    z = tl.exp(tl.minimum(x, 20.0))
    w = 1.0 + z
    small = tl.where(w == 1.0, z, tl.log(w) * (z / tl.where(w == 1.0, 1.0, w - 1.0)))
    return tl.where(x > 20.0, x, small)


@triton.jit
def _silu(x):
    return x / (1.0 + tl.exp(-x))


@triton.jit
def _read(where, index, mask, FLOAT: tl.constexpr):
    return tl.load(where + index, mask=mask, other=0.0).to(FLOAT)


@triton.jit
def _places(channels, N: tl.constexpr, STATES: tl.constexpr, CHANNELS: tl.constexpr):
    """This program's row, its channels and which of them are there, its states and which of them are there (N x D)."""
    d, n = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, STATES)
    there, kept = d < channels, n < N
    place, both = n[:, None] * channels + d[None, :], kept[:, None] & there[None, :]
    return tl.program_id(0).to(tl.int64), d, there, n, kept, place, both


@triton.jit
def _gated(
    u,
    step,
    bias,
    A_log,
    B,
    C,
    D,
    projected,
    state,
    y,
    length,
    channels,
    stride,
    N: tl.constexpr,
    STATES: tl.constexpr,
    FLOAT: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """All time steps of one row, with what goes before and after them. stride: from one time of B and C to the next."""
    row, d, there, n, kept, place, both = _places(channels, N, STATES, CHANNELS)
    a = -tl.exp(_read(A_log, d[None, :] * N + n[:, None], both, FLOAT)) * _LOG2_E
    h = _read(state + row * N * channels, place, both, FLOAT)
    shift, skip = _read(bias, d, there, FLOAT), _read(D, d, there, FLOAT)
    for t in range(length):
        time = row * length + t
        x = _read(u + time * channels, d, there, FLOAT)
        delta = _softplus(_read(step + time * channels, d, there, FLOAT) + shift)
        into, out = _read(B + time * stride, n, kept, FLOAT), _read(C + time * stride, n, kept, FLOAT)
        gate = _read(projected + (2 * time + 1) * channels, d, there, FLOAT)
        h = tl.exp2(delta[None, :] * a) * h + (delta * x)[None, :] * into[:, None]
        found = (tl.sum(h * out[:, None], axis=0) + skip * x) * _silu(gate)
        tl.store(y + time * channels + d, found, mask=there)
    tl.store(state + row * N * channels + place, h, mask=both)


@triton.jit
def _convolve(
    projected,
    window,
    weight,
    bias,
    found,
    length,
    channels,
    K: tl.constexpr,
    FLOAT: tl.constexpr,
    BIAS: tl.constexpr,
    ACTIVATE: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """All time steps of one row; then the window moves on in the order of time: what it loses was moved before."""
    row, d = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    there = d < channels
    now, before = projected + row * length * 2 * channels, window + row * K * channels
    for t in range(length):
        total = tl.zeros([CHANNELS], FLOAT)
        if BIAS:
            total = _read(bias, d, there, FLOAT)
        for k in tl.static_range(K):
            total += _read(weight + k, d * K, there, FLOAT) * _input(
                now, before, t + 1 - K + k, d, there, channels, K
            ).to(FLOAT)
        tl.store(found + (row * length + t) * channels + d, _silu(total) if ACTIVATE else total, mask=there)
    tl.debug_barrier()
    for k in tl.static_range(K):
        tl.store(before + k * channels + d, _input(now, before, length - K + k, d, there, channels, K), mask=there)


@triton.jit
def _input(now, before, t, d, there, channels, K: tl.constexpr):
    """A row's input at time t; before 0 that of its window, which ends there."""
    new = tl.load(now + t * 2 * channels + d, mask=there & (t >= 0), other=0.0)
    return new + tl.load(before + (K + t) * channels + d, mask=there & (t < 0), other=0.0)


@triton.jit
def _forward(
    u,
    delta,
    A,
    B,
    C,
    state,
    y,
    last,
    between,
    length,
    channels,
    N: tl.constexpr,
    STATES: tl.constexpr,
    FLOAT: tl.constexpr,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """All time steps of one row; the state before each block is kept in `between` (batch x blocks x N x D)."""
    row, d, there, n, kept, place, both = _places(channels, N, STATES, CHANNELS)
    a, h = _read(A, place, both, FLOAT), _read(state + row * N * channels, place, both, FLOAT)
    blocks = tl.cdiv(length, BLOCK)
    for block in range(blocks):
        tl.store(between + (row * blocks + block) * N * channels + place, h, mask=both)
        for t in range(block * BLOCK, tl.minimum(length, block * BLOCK + BLOCK)):
            time = row * length + t
            h = _advanced(h, u, delta, a, B, time, channels, d, there, n, kept, N, FLOAT)
            out = _read(C + time * N, n, kept, FLOAT)
            tl.store(y + time * channels + d, tl.sum(h * out[:, None], axis=0), mask=there)
    tl.store(last + row * N * channels + place, h, mask=both)


@triton.jit
def _advanced(h, u, delta, a, B, time, channels, d, there, n, kept, N: tl.constexpr, FLOAT: tl.constexpr):
    """The state after one more time step. a: A for powers of 2."""
    step, x = _read(delta + time * channels, d, there, FLOAT), _read(u + time * channels, d, there, FLOAT)
    into = _read(B + time * N, n, kept, FLOAT)
    return tl.exp2(step[None, :] * a) * h + (step * x)[None, :] * into[:, None]


@triton.jit
def _backward(
    u,
    delta,
    base_2,
    A,
    B,
    C,
    between,
    again,
    grad_y,
    grad_state,
    grad_u,
    grad_delta,
    grad_A,
    grad_B,
    grad_C,
    length,
    channels,
    N: tl.constexpr,
    STATES: tl.constexpr,
    FLOAT: tl.constexpr,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The blocks of one row from the last to the first: forward again, with every state kept in `again`, then back.

    grad_state: that of the last state, then of the first. grad_A: batch x N x D, grad_B and grad_C: programs of a row
    x batch x length x N, each the part of its sum that this program has.
    """
    row, d, there, n, kept, place, both = _places(channels, N, STATES, CHANNELS)
    a2, a = _read(base_2, place, both, FLOAT), _read(A, place, both, FLOAT)
    g = _read(grad_state + row * N * channels, place, both, FLOAT)
    sum_A = tl.zeros_like(g)
    part = tl.program_id(1).to(tl.int64) * tl.num_programs(0) * length * N
    blocks, room = tl.cdiv(length, BLOCK), again + row * BLOCK * N * channels
    for done in range(blocks):
        block = blocks - 1 - done
        begin = row * length + block * BLOCK
        steps = tl.minimum(length - block * BLOCK, BLOCK)
        h = _read(between + (row * blocks + block) * N * channels, place, both, FLOAT)
        for i in range(steps):
            tl.store(room + i * N * channels + place, h, mask=both)
            h = _advanced(h, u, delta, a2, B, begin + i, channels, d, there, n, kept, N, FLOAT)
        tl.debug_barrier()
        for undone in range(steps):
            i = steps - 1 - undone
            h = _read(room + i * N * channels, place, both, FLOAT)
            g, sum_A = _undone(
                g,
                sum_A,
                h,
                u,
                delta,
                a2,
                a,
                B,
                C,
                grad_y,
                grad_u,
                grad_delta,
                grad_B + part,
                grad_C + part,
                begin + i,
                channels,
                d,
                there,
                n,
                kept,
                N,
                FLOAT,
            )
        tl.debug_barrier()  # before the states of the next block take the place of these
    tl.store(grad_state + row * N * channels + place, g, mask=both)
    tl.store(grad_A + row * N * channels + place, sum_A, mask=both)


@triton.jit
def _undone(
    g,
    sum_A,
    h,
    u,
    delta,
    a2,
    a,
    B,
    C,
    grad_y,
    grad_u,
    grad_delta,
    grad_B,
    grad_C,
    time,
    channels,
    d,
    there,
    n,
    kept,
    N: tl.constexpr,
    FLOAT: tl.constexpr,
):
    """One time step back: the gradients of the state `h` before it, and of A so far. g: that of the state after it."""
    step, x = _read(delta + time * channels, d, there, FLOAT), _read(u + time * channels, d, there, FLOAT)
    into, out = _read(B + time * N, n, kept, FLOAT), _read(C + time * N, n, kept, FLOAT)
    of_y = _read(grad_y + time * channels, d, there, FLOAT)
    decay, drive = tl.exp2(step[None, :] * a2), step * x
    after = decay * h + drive[None, :] * into[:, None]
    g += of_y[None, :] * out[:, None]
    tl.store(grad_C + time * N + n, tl.sum(after * of_y[None, :], axis=1), mask=kept)
    tl.store(grad_B + time * N + n, tl.sum(g * drive[None, :], axis=1), mask=kept)
    of_drive = tl.sum(g * into[:, None], axis=0)
    g = g * decay
    through = g * h
    tl.store(grad_u + time * channels + d, of_drive * step, mask=there)
    tl.store(grad_delta + time * channels + d, tl.sum(through * a, axis=0) + of_drive * x, mask=there)
    return g, sum_A + through * step[None, :]
