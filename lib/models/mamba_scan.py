"""Runs Mamba models fast: transformers' mixer with `lib.kernels.selective_scan` in it, here for a CPU; for a GPU see
lib/models/mamba_on_gpu.py.

It serves training, prefill and single steps.

Padding. With an attention mask, padded positions leave the state untouched, on either side. Without one the state has
run over the padding: that is harmless on the right, where nothing reads it, but on the left it changes every score that
follows. So give equal lengths, padding on the right, or a mask. A cache can be continued (without a mask) only after
equal lengths, or padding on the left with a mask: with padding on the right, it ends in padding.
"""

import functools
import importlib
from typing import Any

import torch
from numba import njit
from torch.nn import functional
from transformers.cache_utils import Cache
from transformers.models.mamba.modeling_mamba import MambaMixer

from lib.artifacts import attempts
from lib.kernels.selective_scan import gated_scan, selective_scan
from lib.kernels.vector_math import OPTIONS, silu

KERNEL_PACKAGES = ("mamba_ssm", "causal_conv1d")  # as they are imported
REMEDY = (
    "the packages mamba-ssm and causal-conv1d, built for torch's CUDA version, are faster; this project pins neither"
)
ACTIVATED_HERE = ("silu", "swish")  # two names of one function

_kernel = njit(cache=True, **OPTIONS)
_part = njit(forceinline=True, **OPTIONS)  # of the kernel that calls it


class FastMambaMixer(MambaMixer):
    """A MambaMixer that scans with `lib.kernels.selective_scan`: the same weights and cache, the same numbers.

    Unlike transformers' own, several new tokens after a cached state continue from that state. Without gradients two
    compiled kernels, of the convolution and of the scan, do all that is not a product of matrices.
    """

    _scan = staticmethod(selective_scan)  # with gradients

    def forward(
        self,
        hidden_states: torch.Tensor,
        cache_params: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """batch x length x width in and out; the cache, when there is one, is brought up to date."""
        if not self._serves(hidden_states.device):  # the model was moved after its path was chosen
            self.__class__ = _moved(hidden_states.device.type)
            return self.forward(hidden_states, cache_params, attention_mask)
        recording = cache_params is not None and cache_params.layers[self.layer_idx].record_past
        way = self._differentiable if torch.is_grad_enabled() or recording else self._fused
        return way(hidden_states, cache_params, attention_mask)

    @staticmethod
    def _serves(device: torch.device) -> bool:
        return device.type == "cpu"

    def _fused(self, hidden_states: torch.Tensor, cache: Cache | None, mask: torch.Tensor | None) -> torch.Tensor:
        projected = _masked(self._projected(hidden_states), mask)
        window, state = self._kept(projected, cache)
        u = _masked(self._activated(projected, window), mask)
        y = self._gated(u, projected, state, hidden_states.dtype)
        if cache is not None and not cache.has_previous_state(self.layer_idx):
            cache.update_conv_state(window.mT, self.layer_idx, conv_kernel_size=self.conv_kernel_size)
            cache.update_recurrent_state(state.mT, self.layer_idx)
        return self.out_proj(y.to(hidden_states.dtype))

    def _projected(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return _at_least_float32(self.in_proj(hidden_states))

    def _kept(self, projected: torch.Tensor, cache: Cache | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The last inputs of the convolution and the states of the scan: the cache's own, or zeros."""
        wide = torch.promote_types(projected.dtype, torch.float32)
        if cache is not None and cache.has_previous_state(self.layer_idx):
            layer = cache.layers[self.layer_idx]
            return _in_place(layer.conv_states, projected.dtype), _in_place(layer.recurrent_states, wide)
        rows, D = len(projected), self.intermediate_size
        window = projected.new_zeros(rows, self.conv_kernel_size, D)
        return window, projected.new_zeros(rows, self.ssm_state_size, D, dtype=wide)

    def _activated(self, projected: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        """The causal convolution and its activation, batch x length x D; the window moves on."""
        found = projected.new_empty(*projected.shape[:2], self.intermediate_size)
        weight, bias = self.conv1d.weight.detach()[:, 0].T.to(found.dtype).contiguous(), self.conv1d.bias
        bias = weight.new_zeros(weight.shape[1]) if bias is None else bias.detach().to(found.dtype)
        activated_here = self.activation in ACTIVATED_HERE
        _convolve(*(x.numpy() for x in (projected, window, weight, bias, found)), activated_here)
        return found if activated_here else self.act(found)

    def _gated(self, u: torch.Tensor, projected: torch.Tensor, state: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The scan's output, batch x length x D, ready for the last projection; the states are brought up to date."""
        step, B, C = self._selection(u.to(dtype))
        A, D, bias = (x.detach().to(u.dtype) for x in (self.A_log, self.D, self.dt_proj.bias))
        return gated_scan(u, step.to(u.dtype), bias, -A.exp(), B.to(u.dtype), C.to(u.dtype), D, projected, state)

    def _selection(self, inner: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The step size before bias and softplus, B and C."""
        sizes = [self.time_step_rank, self.ssm_state_size, self.ssm_state_size]
        step, B, C = self.x_proj(inner).split(sizes, dim=-1)
        # A slice as it is would go to a general product of matrices, which takes four times as long.
        return functional.linear(step.contiguous(), self.dt_proj.weight), B, C

    def _differentiable(
        self, hidden_states: torch.Tensor, cache: Cache | None, mask: torch.Tensor | None
    ) -> torch.Tensor:
        state = self._cached_state(cache)
        inner, gate = self.in_proj(hidden_states).chunk(2, dim=-1)
        # Masked twice: the convolution must not carry a bias into the text, nor its own bias reach the state.
        inner = self._convolved(_masked(inner, mask), cache)
        scanned, state = self._scanned(_masked(inner, mask), state)
        if cache is not None:
            cache.update_recurrent_state(state, self.layer_idx)
        return self.out_proj((scanned * functional.silu(gate)).to(hidden_states.dtype))

    def _cached_state(self, cache: Cache | None) -> torch.Tensor | None:
        if cache is None or not cache.has_previous_state(self.layer_idx):
            return None
        return cache.layers[self.layer_idx].recurrent_states[0]

    def _convolved(self, inner: torch.Tensor, cache: Cache | None) -> torch.Tensor:
        """The causal convolution over time, which reaches back into the cache, and its activation."""
        length, before = inner.shape[1], self.conv_kernel_size - 1
        channels = inner.transpose(1, 2)
        if cache is not None:
            channels = cache.update_conv_state(channels, self.layer_idx, conv_kernel_size=self.conv_kernel_size)
        padded = functional.pad(channels, (before, 0))[..., -(length + before) :].to(inner.dtype)
        found = functional.conv1d(padded, self.conv1d.weight, self.conv1d.bias, groups=self.intermediate_size)
        return self.act(found.transpose(1, 2))

    def _scanned(self, inner: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """D u + the selective scan, at least in float32, and the last state."""
        step, B, C = self._selection(inner)
        tensors = (inner, step, B, C, self.A_log, self.D, self.dt_proj.bias)
        u, step, B, C, A_log, D, bias = map(_at_least_float32, tensors)
        delta = functional.softplus(step + bias)
        y, state = self._scan(u, delta, -A_log.exp(), B, C, None if state is None else state.to(u.dtype))
        return y + u * D, state


def use_fast_scan(model: torch.nn.Module, mixer: type[MambaMixer] = FastMambaMixer) -> int:
    """Let every Mamba layer of this model (of no other) scan with `lib.kernels.selective_scan`. Returns how many there
    are that did not.

    Weights, their names, the cache and saved files stay as they are. mixer: for models on the CPU, or another.
    """
    mixers = [module for module in model.modules() if isinstance(module, MambaMixer) and type(module) is not mixer]
    for module in mixers:
        module.__class__ = mixer  # survives copy.deepcopy, which a forward bound to the instance would not
    return len(mixers)


def choose_path(model: torch.nn.Module, device: torch.device) -> str:
    """How a model on `device` will scan, in words; it is made to scan so. Empty without Mamba layers."""
    if not any(isinstance(module, MambaMixer) for module in model.modules()):
        return ""
    mixer, path = _path(device.type)
    use_fast_scan(model, mixer)
    return path


@functools.cache
def _path(device: str) -> tuple[type[MambaMixer], str]:
    """The mixer for a type of device, and how it scans: by kernels of ours, unless CUDA's own are there."""
    if device == "cpu":
        return FastMambaMixer, "the compiled scan of lib/kernels/selective_scan.py"
    missing = missing_kernels()
    if not missing:
        return MambaMixer, f"the CUDA kernels of {' and '.join(KERNEL_PACKAGES)}"
    reasons = "; ".join(f"{name} {_refusal(name)}" for name in missing)
    try:
        from lib.models.mamba_on_gpu import TritonMambaMixer
    except ImportError as error:  # a build of torch without Triton
        return MambaMixer, f"transformers' own path, slow ({reasons}; {error}); {REMEDY}"
    if device != "cuda":
        return MambaMixer, f"transformers' own path, slow: Triton's kernels do not run on {device}"
    return TritonMambaMixer, f"the Triton scan of lib/kernels/triton_scan.py ({reasons})"


@functools.cache  # once, not for every layer
def _moved(device: str) -> type[MambaMixer]:
    """The mixer for a model that was moved to a device of another type; its path is noted."""
    mixer, path = _path(device)
    attempts.note("mamba", path)
    return mixer


def missing_kernels() -> list[str]:
    """The packages of Mamba's CUDA kernels that cannot be imported here: one that is there may be of another torch."""
    return [name for name in KERNEL_PACKAGES if _refusal(name)]


def _refusal(package: str) -> str:
    """Why a package cannot be imported; empty if it can."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        return "is not installed" if error.name == package else f"cannot be imported: {error}"
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # as compiled code of another version raises
        return f"cannot be imported: {type(error).__name__}: {error}"
    return ""


def _masked(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return values if mask is None else (values * mask[:, :, None]).to(values.dtype)


def _at_least_float32(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _in_place(kept: dict[int, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """What a cache keeps of a layer, batch x D x any, as batch x any x D, contiguous; a change of it is one of both."""
    turned = kept[0].detach().mT.to(dtype).contiguous()  # copies at most once, or after rows were picked
    kept[0] = turned.mT
    return turned


@_kernel
def _convolve(projected, window, weight, bias, found, activate):
    """The convolution over time of the first D of `projected` (batch x length x 2 D), and perhaps silu of it.

    found: batch x length x D; window: batch x K x D, the last inputs before, and then at the end; weight: K x D.
    """
    rows, length, D = found.shape
    K = len(weight)
    for b in range(rows):
        for t in range(length):
            y = found[b, t]
            for d in range(D):
                y[d] = bias[d]
            for k in range(K):
                _add_product(weight[k], _input(projected, window, b, t + 1 - K + k), y)
            if activate:
                for d in range(D):
                    y[d] = silu(y[d])
        _move(projected, window, b, length)


@_part
def _move(projected, window, b, length):
    """In the order of time: what is overwritten was moved before."""
    _, K, D = window.shape
    for k in range(K):
        moved = _input(projected, window, b, length - K + k)
        for d in range(D):
            window[b, k, d] = moved[d]


@_part
def _input(projected, window, b, t):
    """The input at time t; before 0 that of the window, which ends there."""
    return projected[b, t] if t >= 0 else window[b, t]


@_part
def _add_product(weight, values, total):
    for d in range(len(total)):
        total[d] += weight[d] * values[d]
