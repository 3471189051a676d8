import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lib.kernels import selective_scan as module
from lib.kernels.selective_scan import gated_scan, selective_scan

SIZES = {
    "rows": st.integers(1, 3),
    "length": st.integers(1, 9),
    "channels": st.integers(1, 5),
    "states": st.integers(1, 4),
}


def arguments(rows=2, length=7, channels=3, states=2, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    delta, A = normal(rows, length, channels).exp(), -normal(channels, states).exp()
    B, C = normal(rows, length, states), normal(rows, length, states)
    return [normal(rows, length, channels), delta, A, B, C, normal(rows, channels, states)]


def naive(u, delta, A, B, C, state):
    """The recurrence as the paper writes it, one number at a time."""
    y, h = np.zeros(u.shape), state.copy()
    for b, t, d in np.ndindex(u.shape):
        for n in range(A.shape[1]):
            h[b, d, n] = np.exp(delta[b, t, d] * A[d, n]) * h[b, d, n] + delta[b, t, d] * B[b, t, n] * u[b, t, d]
            y[b, t, d] += C[b, t, n] * h[b, d, n]
    return y, h


@pytest.fixture(params=[1, 1 << 17], ids=["blocks of one step", "one block"])
def block(request, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", request.param)
    monkeypatch.setattr(module, "SHORTEST_BLOCK", 1)


@settings(max_examples=30)
@given(**SIZES, seed=st.integers(0, 9), elements=st.integers(1, 200))
def test_the_scan_is_the_recurrence(rows, length, channels, states, seed, elements):
    given = arguments(rows, length, channels, states, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ELEMENTS", elements)
        y, last = selective_scan(*given)
    expected, state = naive(*(tensor.numpy() for tensor in given))
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(last, state, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_finite_differences(block):
    assert torch.autograd.gradcheck(selective_scan, [tensor.requires_grad_() for tensor in arguments()])


def test_gradients_of_float32_are_those_of_autograd_through_the_loop(block):
    ours = [tensor.requires_grad_() for tensor in arguments(2, 40, 16, 8, torch.float32)]
    theirs = [tensor.detach().double().requires_grad_() for tensor in ours]
    u, delta, A, B, C, state = theirs
    outputs = []
    for t in range(u.shape[1]):
        state = (delta[:, t, :, None] * A).exp() * state + (delta[:, t] * u[:, t])[..., None] * B[:, t, None, :]
        outputs.append((state * C[:, t, None, :]).sum(-1))
    (torch.stack(outputs, 1).sin().sum() + state.sum()).backward()
    y, last = selective_scan(*ours)
    (y.sin().sum() + last.sum()).backward()
    for one, other in zip(ours, theirs):
        scale = other.grad.abs().max()
        assert (one.grad - other.grad).abs().max() < 1e-5 * scale


def test_a_scan_in_two_parts_is_the_whole():
    u, delta, A, B, C, state = arguments(length=9)
    whole, last = selective_scan(u, delta, A, B, C, state)
    head, middle = selective_scan(u[:, :4], delta[:, :4], A, B[:, :4], C[:, :4], state)
    tail, end = selective_scan(u[:, 4:], delta[:, 4:], A, B[:, 4:], C[:, 4:], middle)
    torch.testing.assert_close(torch.cat([head, tail], 1), whole)
    torch.testing.assert_close(end, last)


def test_no_state_is_a_state_of_zeros_and_nothing_given_is_changed():
    given = arguments()
    before = [tensor.clone() for tensor in given]
    given[-1].zero_()
    before[-1].zero_()
    assert torch.equal(selective_scan(*given[:-1])[0], selective_scan(*given)[0])
    selective_scan(*(tensor.requires_grad_() for tensor in given))[0].sum().backward()
    assert all(torch.equal(one, other) for one, other in zip(given, before))


def test_an_empty_text_has_no_output_and_keeps_its_state():
    given = arguments(length=0)
    y, last = selective_scan(*given)
    assert y.shape == (2, 0, 3)
    assert torch.equal(last, given[-1])


@pytest.mark.parametrize(
    ("position", "change", "message"),
    [
        (1, lambda x: x[:, 1:], r"delta has the shape \(2, 6, 3\), \(2, 7, 3\) fits"),
        (2, lambda x: x[1:], r"A has the shape \(2, 2\), \(3, 2\) fits"),
        (4, lambda x: x[..., :1], r"C has the shape \(2, 7, 1\)"),
        (5, lambda x: x.transpose(1, 2), r"state has the shape \(2, 2, 3\)"),
        (3, lambda x: x.float(), "B is torch.float32; all must be float32, or all float64"),
        (0, lambda x: x.bfloat16(), "u is torch.bfloat16"),
        (2, lambda x: x.to("meta"), "A is on meta"),
    ],
)
def test_what_does_not_fit_is_named(position, change, message):
    given = arguments()
    given[position] = change(given[position])
    with pytest.raises(ValueError, match=message):
        selective_scan(*given)


@settings(max_examples=30)
@given(**SIZES, seed=st.integers(0, 9), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_the_gated_scan_is_the_scan_and_what_goes_around_it(rows, length, channels, states, seed, dtype) -> None:
    u, step, A, B, C, state = arguments(rows, length, channels, states, dtype, seed)
    draws = torch.Generator().manual_seed(seed)
    bias, D = torch.randn(2, channels, generator=draws, dtype=dtype)
    projected = 3 * torch.randn(rows, length, 2 * channels, generator=draws, dtype=dtype)
    delta, gate = functional.softplus(step + bias), functional.silu(projected[..., channels:])
    y, last = selective_scan(u, delta, A, B, C, state)
    changed = state.mT.contiguous()
    found = gated_scan(u, step, bias, A, B, C, D, projected, changed)
    torch.testing.assert_close(found, (y + u * D) * gate)
    torch.testing.assert_close(changed.mT, last)


def test_gated_steps_of_a_row_are_its_gated_scan_beside_other_rows() -> None:
    u, step, A, B, C, state = arguments(3, 9, 20, 4, torch.float32)
    bias, D, projected, state = torch.zeros(20), torch.ones(20), torch.cat([u, step], 2), state.mT.contiguous()
    last, stepped = state.clone(), state[1:2].clone()
    whole = gated_scan(u, step, bias, A, B, C, D, projected, last)
    for t in range(9):
        u_t, step_t, B_t, C_t, projected_t = (x[1:2, t : t + 1].contiguous() for x in (u, step, B, C, projected))
        assert torch.equal(gated_scan(u_t, step_t, bias, A, B_t, C_t, D, projected_t, stepped), whole[1:2, t : t + 1])
    assert torch.equal(stepped, last[1:2])
