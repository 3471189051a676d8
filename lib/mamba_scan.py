"""Mamba models on a CPU: transformers' mixer with `lib.selective_scan` in it, for training, prefill and single steps.

Padding. With an attention mask, padded positions leave the state untouched, on either side. Without one the state has
run over the padding: harmless on the right, where nothing reads it, but on the left it changes every score that
follows. So give equal lengths, padding on the right, or a mask. A cache is good for further steps (which take no mask)
only after equal lengths, or padding on the left with a mask: on the right it ends in padding.
"""

import importlib.util
from typing import Any

import torch
from torch.nn import functional
from transformers.cache_utils import Cache
from transformers.models.mamba.modeling_mamba import MambaMixer

from lib.selective_scan import selective_scan, single_step

KERNEL_PACKAGES = ("mamba_ssm", "causal_conv1d")  # as they are imported
REMEDY = "pip install --no-build-isolation causal-conv1d mamba-ssm (needs a CUDA GPU and nvcc of torch's CUDA version)"


class FastMambaMixer(MambaMixer):
    """A MambaMixer that scans with `lib.selective_scan`: the same weights and cache, the same numbers.

    Unlike transformers' own, several new tokens after a cached state continue from that state.
    """

    def forward(
        self, hidden_states: torch.Tensor, cache_params: Cache | None = None,
        attention_mask: torch.Tensor | None = None, **_: Any,
    ) -> torch.Tensor:  # fmt: skip
        """batch x length x width in and out; the cache, when there is one, is brought up to date."""
        if hidden_states.device.type != "cpu":  # the model was moved after it was made fast
            return super().forward(hidden_states, cache_params, attention_mask)
        state = self._cached_state(cache_params)
        inner, gate = self.in_proj(hidden_states).chunk(2, dim=-1)
        # Masked before the convolution, lest it carry a bias into the text, and after it, lest its own reach the state.
        inner = self._convolved(_masked(inner, attention_mask), cache_params)
        scanned, state = self._scanned(_masked(inner, attention_mask), state)
        if cache_params is not None:
            cache_params.update_recurrent_state(state, self.layer_idx)
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
        padded = functional.pad(channels, (before, 0))[..., -(length + before) :]
        return self.act(self._windows(padded).transpose(1, 2))

    def _windows(self, padded: torch.Tensor) -> torch.Tensor:
        weight, bias = self.conv1d.weight, self.conv1d.bias
        if padded.shape[-1] > self.conv_kernel_size:
            return functional.conv1d(padded, weight, bias, groups=self.intermediate_size)
        # A single step: one window. The library's convolution would be almost half of its time.
        found = (padded * weight[:, 0]).sum(-1, keepdim=True)
        return found if bias is None else found + bias[:, None]

    def _scanned(self, inner: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """D u + the selective scan, at least in float32, and the last state."""
        sizes = [self.time_step_rank, self.ssm_state_size, self.ssm_state_size]
        step, B, C = self.x_proj(inner).split(sizes, dim=-1)
        kind = torch.promote_types(inner.dtype, torch.float32)
        u, B, C, A_log, D, bias = (x.to(kind) for x in (inner, B, C, self.A_log, self.D, self.dt_proj.bias))
        delta = functional.softplus(functional.linear(step, self.dt_proj.weight).to(kind) + bias)
        A = -A_log.exp()
        if state is not None and u.shape[1] == 1 and not torch.is_grad_enabled():
            state = state.to(kind)
            y = single_step(u[:, 0], delta[:, 0], A, B[:, 0], C[:, 0], state)[:, None]
        else:
            y, state = selective_scan(u, delta, A, B, C, None if state is None else state.to(kind))
        return y + u * D, state


def use_fast_scan(model: torch.nn.Module) -> int:
    """Let every Mamba layer of this model (of no other) scan with `lib.selective_scan`. Returns how many there are.

    Weights, their names, the cache and saved files stay as they are. For models on the CPU.
    """
    mixers = [module for module in model.modules() if type(module) is MambaMixer]
    for mixer in mixers:
        mixer.__class__ = FastMambaMixer  # survives copy.deepcopy, which a forward bound to the instance would not
    return len(mixers)


def choose_path(model: torch.nn.Module, device: torch.device) -> str:
    """How a model on `device` will scan, in words; on the CPU it is made fast. Empty without Mamba layers."""
    if not any(isinstance(module, MambaMixer) for module in model.modules()):
        return ""
    if device.type == "cpu":
        return f"the compiled scan of lib/selective_scan.py, {use_fast_scan(model)} layers"
    missing = missing_kernels()
    return (
        f"transformers' own path, slow; {REMEDY}" if missing else f"the CUDA kernels of {' and '.join(KERNEL_PACKAGES)}"
    )


def missing_kernels() -> list[str]:
    """The packages of Mamba's CUDA kernels that cannot be imported here."""
    return [name for name in KERNEL_PACKAGES if importlib.util.find_spec(name) is None]


def _masked(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return values if mask is None else (values * mask[:, :, None]).to(values.dtype)
