"""The scan of a GPU against that of a CPU, in Triton's interpreter."""

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.kernels import selective_scan as on_cpu
from tests.kernels.test_selective_scan import SIZES, arguments

os.environ["TRITON_INTERPRET"] = "1"  # read when kernels are defined
pytest.importorskip("triton", reason="triton is not installed: pip install --no-deps -c env/constraints.txt triton")
from lib.kernels import triton_scan as module

CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # in float32


@settings(max_examples=5, deadline=None)
@given(**SIZES, seed=st.integers(0, 9), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_gated_scan_is_that_of_a_cpu(rows, length, channels, states, seed, dtype) -> None:
    u, step, A, B, C, state = arguments(rows, length, channels, states, dtype, seed)
    draws = torch.Generator().manual_seed(seed)
    bias, D = 4 * torch.randn(2, channels, generator=draws, dtype=dtype)
    projected = 3 * torch.randn(rows, length, 2 * channels, generator=draws, dtype=dtype)
    BC = torch.cat([B, C], 2)
    ours, theirs = (state.mT.clone(memory_format=torch.contiguous_format) for _ in range(2))
    found = module.gated_scan(u, step.log(), bias, A.neg().log(), *BC.split(states, 2), D, projected, ours)
    wanted = on_cpu.gated_scan(u, step.log(), bias, A, B, C, D, projected, theirs)
    torch.testing.assert_close(found, wanted, **CLOSE)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize(("length", "channels"), [(5, 3), (1, 40)])
def test_the_scan_and_its_gradients_are_those_of_a_cpu(length, channels, monkeypatch) -> None:
    """Blocks of 2 time steps, the last one shorter; more channels than a program has."""
    monkeypatch.setattr(module, "BLOCK", 2)
    given = arguments(2, length, channels, 3)
    weights = torch.randn(2, length, channels, dtype=torch.float64), torch.randn(2, channels, 3, dtype=torch.float64)
    for dtype, close in ((torch.float64, {"rtol": 1e-12, "atol": 1e-12}), (torch.float32, CLOSE)):
        found = []
        for scan in (on_cpu.selective_scan, module.selective_scan):
            inputs = [tensor.clone().to(dtype).requires_grad_() for tensor in given]
            outputs = scan(*inputs)
            sum((out * weight.to(dtype)).sum() for out, weight in zip(outputs, weights)).backward()
            found.append([*outputs, *(tensor.grad for tensor in inputs)])
            assert all(tensor is not None for tensor in found[-1])
        for wanted, ours in zip(*found):
            torch.testing.assert_close(ours, wanted, **close)
