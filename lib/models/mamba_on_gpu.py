"""Runs Mamba models fast on a GPU, without the packages mamba-ssm and causal-conv1d, which have to be compiled there.

transformers' own path takes arrays of batch x D x length x N numbers, and a loop of Python over the tokens of a prompt.
"""

import torch

from lib.kernels import triton_scan
from lib.models.mamba_scan import ACTIVATED_HERE, FastMambaMixer


class TritonMambaMixer(FastMambaMixer):
    """A MambaMixer that scans with `lib.kernels.triton_scan`: the same weights and cache.

    What is passed from kernel to kernel has the type of the hidden states; sums and states are at least float32.
    """

    _scan = staticmethod(triton_scan.selective_scan)

    @staticmethod
    def _serves(device: torch.device) -> bool:
        return triton_scan.serves(device)

    def _projected(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.in_proj(hidden_states)

    def _activated(self, projected: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        activated_here = self.activation in ACTIVATED_HERE
        found = triton_scan.convolved(projected, window, self.conv1d.weight[:, 0], self.conv1d.bias, activated_here)
        return found if activated_here else self.act(found)

    def _gated(self, u: torch.Tensor, projected: torch.Tensor, state: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        step, B, C = self._selection(u.to(dtype))
        return triton_scan.gated_scan(u, step, self.dt_proj.bias, self.A_log, B, C, self.D, projected, state)
