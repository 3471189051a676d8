import copy
import sys

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM
from transformers.models.mamba.modeling_mamba import MambaMixer

from lib.models import mamba_scan
from tests.support.scans import LENGTH, ids, stock_and_fast


def models(dtype=torch.float64, **changes):
    """transformers' own model, and the same weights with the fast scan."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}
    stock = MambaForCausalLM(MambaConfig(**{**sizes, **changes})).to(dtype).eval()
    return stock_and_fast(stock, mamba_scan.use_fast_scan, 2)


@pytest.fixture(params=[True, False], ids=["with gradients", "without"])
def gradients(request):
    """Mixers have a way for each."""
    with torch.set_grad_enabled(request.param):
        yield


@pytest.mark.usefixtures("gradients")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_bias": True, "use_conv_bias": False, "expand": 3, "conv_kernel": 3},
        {"hidden_act": "gelu", "conv_kernel": 1, "state_size": 1},
    ],
)
def test_logits_are_those_of_transformers(changes):
    stock, fast = models(torch.float32, **changes)
    torch.testing.assert_close(fast(ids()).logits, stock(ids()).logits, rtol=1e-4, atol=1e-5)


def test_loss_and_gradients_are_those_of_transformers():
    gradients = []
    for model in models(torch.float32):
        model.train()
        model(input_ids=ids(), labels=ids()).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("prompt", [1, 2, 3, 4, 15, LENGTH])
def test_steps_from_the_cache_are_the_whole_text(prompt, dtype):
    _, fast = models(dtype)
    with torch.no_grad():
        whole = fast(ids()).logits
        output = fast(ids()[:, :prompt], use_cache=True)
        steps = [output.logits]
        for t in range(prompt, LENGTH):
            output = fast(ids()[:, t : t + 1], cache_params=output.cache_params, use_cache=True)
            steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("gradients")
@pytest.mark.parametrize("first", [2, 9])
def test_several_tokens_continue_from_the_cache(first):
    """transformers' own mixer starts them from a state of zeros."""
    _, fast = models()
    whole = fast(ids()).logits
    cache = fast(ids()[:, :first], use_cache=True).cache_params
    parts = [fast(ids()[:, a:b], cache_params=cache, use_cache=True).logits for a, b in ((first, 12), (12, LENGTH))]
    torch.testing.assert_close(torch.cat(parts, 1), whole[:, first:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("read", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_rows_picked_from_the_cache_go_on_alone(read):
    _, fast = models(torch.float32)
    with torch.no_grad():
        whole = fast(ids()).logits
        with read():
            cache = fast(ids()[:, :-2], use_cache=True).cache_params
        cache.reorder_cache(torch.tensor([2, 0]))
        for t in (-2, -1):
            step = fast(ids()[[2, 0], t][:, None], cache_params=cache, use_cache=True).logits[:, 0]
            torch.testing.assert_close(step, whole[[2, 0], t], rtol=1e-5, atol=1e-5)


def test_a_cache_that_records_the_past_keeps_all_inputs_of_the_convolution():
    """Of the convolution alone: the library does not take a recurrent state back."""
    _, fast = models(torch.float32)
    with torch.no_grad():
        cache = fast(ids()[:, :8], use_cache=True).cache_params
        for layer in cache.layers:
            layer.activate_past_recording()
        rest = fast(ids()[:, 8:12], cache_params=cache, use_cache=True).logits
        torch.testing.assert_close(rest, fast(ids()[:, :12]).logits[:, 8:], rtol=1e-5, atol=1e-5)
        cache.layers[1].crop(-1)
        kept = fast(ids()[:, :11], use_cache=True).cache_params.layers[1].conv_states[0]
    torch.testing.assert_close(cache.layers[1].conv_states[0], kept)


def test_a_cache_made_by_either_serves_the_other():
    stock, fast = models(torch.float32)
    with torch.no_grad():
        for first, second in ((stock, fast), (fast, stock)):
            cache = first(ids()[:, :-1], use_cache=True).cache_params
            last = second(ids()[:, -1:], cache_params=cache, use_cache=True).logits
            torch.testing.assert_close(last, stock(ids()).logits[:, -1:], rtol=1e-4, atol=1e-5)


def test_generation_does_not_depend_on_the_batch():
    stock, fast = models(torch.float32)
    settings = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    together = fast.generate(ids(), **settings)
    assert torch.equal(together, stock.generate(ids(), **settings))
    for row in range(3):
        assert torch.equal(together[row : row + 1], fast.generate(ids()[row : row + 1], **settings))


def padded(side):
    """Texts of 21, 13 and 5 tokens in one batch, and the mask."""
    batch, mask = torch.zeros(3, LENGTH, dtype=torch.long), torch.zeros(3, LENGTH, dtype=torch.long)
    for row, length in enumerate((21, 13, 5)):
        place = slice(LENGTH - length, None) if side == "left" else slice(length)
        batch[row, place], mask[row, place] = ids()[row, :length], 1
    return batch, mask


@pytest.mark.usefixtures("gradients")
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_with_a_mask_padding_changes_nothing(side, use_bias):
    _, fast = models(torch.float32, use_bias=use_bias)
    batch, mask = padded(side)
    logits = fast(batch, attention_mask=mask).logits
    for row, length in enumerate((21, 13, 5)):
        alone = fast(ids()[row : row + 1, :length]).logits[0]
        torch.testing.assert_close(logits[row][mask[row].bool()], alone, rtol=1e-5, atol=1e-5)


def test_steps_after_prompts_padded_on_the_left_are_those_of_the_text_alone():
    _, fast = models(torch.float32)
    batch, mask = padded("left")
    with torch.no_grad():
        cache = fast(batch, attention_mask=mask, use_cache=True).cache_params
        step = fast(torch.tensor([[7], [8], [9]]), cache_params=cache, use_cache=True).logits[:, 0]
        for row, length in enumerate((21, 13, 5)):
            text = torch.cat([ids()[row, :length], torch.tensor([7 + row])])
            torch.testing.assert_close(step[row], fast(text[None]).logits[0, -1], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("gradients")
def test_without_a_mask_padding_on_the_right_is_harmless_and_on_the_left_is_not():
    """The trap: a state that has run over padding on the left is another state."""
    _, fast = models(torch.float32)
    alone = fast(ids()[2:, :5]).logits[0]
    torch.testing.assert_close(fast(padded("right")[0]).logits[2, :5], alone, rtol=1e-5, atol=1e-5)
    assert (fast(padded("left")[0]).logits[2, -5:] - alone).abs().max() > 1e-2


@pytest.mark.usefixtures("gradients")
def test_bfloat16_is_close_to_float32():
    stock, fast = models(torch.float32)
    wanted = stock(ids()).logits
    for logits in (fast.bfloat16()(ids()).logits, autocast(models(torch.float32)[1]), continued(fast)):
        assert (logits - wanted).abs().max() < 0.1 * wanted.abs().max()


def continued(model):
    """The logits of prompts and of two steps after them."""
    output = model(ids()[:, :-2], use_cache=True)
    cache, found = output.cache_params, [output.logits]
    found += [model(ids()[:, t][:, None], cache_params=cache, use_cache=True).logits for t in (-2, -1)]
    return torch.cat(found, 1)


def autocast(model):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model(ids()).logits


def test_only_the_given_model_is_changed_and_a_copy_keeps_its_own_weights(tmp_path):
    stock, fast = models(torch.float32)
    assert all(type(layer.mixer) is MambaMixer for layer in stock.backbone.layers)
    twin = copy.deepcopy(fast)
    with torch.no_grad():
        fast.backbone.layers[0].mixer.D.add_(1)
    assert torch.equal(twin(ids()).logits, models(torch.float32)[1](ids()).logits)
    twin.save_pretrained(tmp_path)
    loaded = MambaForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(ids()).logits, twin(ids()).logits, rtol=1e-4, atol=1e-5)
    assert mamba_scan.use_fast_scan(twin) == 0, "it has the fast scan already"


@pytest.fixture
def anew():
    """What may be imported is asked once a process; here it changes."""
    caches = (mamba_scan._path, mamba_scan._moved)
    for cached in caches:
        cached.cache_clear()
    yield [cached.cache_clear for cached in caches]
    for cached in caches:
        cached.cache_clear()


def test_the_path_is_told_and_a_model_that_was_moved_away_takes_another(monkeypatch, anew):
    stock, fast = models(torch.float32)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert mamba_scan.choose_path(torch.nn.Linear(1, 1), cpu) == ""
    monkeypatch.setitem(sys.modules, "lib.models.mamba_on_gpu", None)  # as if Triton could not be imported
    monkeypatch.setattr(mamba_scan, "missing_kernels", lambda: ["mamba_ssm"])
    assert mamba_scan.choose_path(stock, gpu).startswith(
        "transformers' own path, slow (mamba_ssm is not installed; imp"
    )
    monkeypatch.setattr(mamba_scan, "missing_kernels", list)
    for clear in anew:
        clear()
    assert mamba_scan.choose_path(stock, gpu) == "the CUDA kernels of mamba_ssm and causal_conv1d"
    assert type(stock.backbone.layers[0].mixer) is MambaMixer
    assert "compiled scan" in mamba_scan.choose_path(stock, cpu)
    assert type(stock.backbone.layers[0].mixer) is mamba_scan.FastMambaMixer
    assert fast.to("meta")(ids().to("meta")).logits.shape == (3, LENGTH, 50)
    assert type(fast.backbone.layers[0].mixer) is MambaMixer


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, "is not installed"),
        ("import no_such", "cannot be imported: No module named 'no_such'"),
        ("raise OSError('undefined symbol')", "cannot be imported: OSError: undefined symbol"),
        ("", ""),
    ],
)
def test_kernels_that_cannot_be_imported_are_named_with_the_reason(code, reason, monkeypatch, tmp_path):
    """Found is not enough: compiled for another torch, a package is there and fails."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in mamba_scan.KERNEL_PACKAGES:
        if code is not None:
            (tmp_path / f"{name}.py").write_text(code)
        assert name not in sys.modules
        assert mamba_scan._refusal(name) == reason
    assert mamba_scan.missing_kernels() == (list(mamba_scan.KERNEL_PACKAGES) if reason else [])
    for name in mamba_scan.KERNEL_PACKAGES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_the_mixer_of_a_gpu_is_that_of_transformers(dtype, close, monkeypatch):
    """In Triton's interpreter: prompts, several tokens after them, steps, and gradients."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # read when kernels are defined
    pytest.importorskip("triton", reason="triton is not installed: pip install --no-deps -c env/constraints.txt triton")
    from lib.models.mamba_on_gpu import TritonMambaMixer

    stock, ours = models(dtype, conv_kernel=3)[0], models(dtype, conv_kernel=3)[0]
    assert mamba_scan.use_fast_scan(ours, TritonMambaMixer) == 2
    with torch.no_grad():
        whole, cache = stock(ids()[:, :7]).logits, ours(ids()[:, :2], use_cache=True).cache_params
        parts = [ours(ids()[:, a:b], cache_params=cache, use_cache=True).logits for a, b in ((2, 5), (5, 6), (6, 7))]
        found = [ours(ids()[:, :7]).logits, torch.cat([whole[:, :2], *parts], 1)]
    assert all((one - whole).abs().max() <= close * whole.abs().max() for one in found)
    of_loss = [torch.autograd.grad(model(ids(2, 4)).logits.sum(), list(model.parameters())) for model in (ours, stock)]
    for one, other in zip(*of_loss):
        assert (one - other).abs().max() <= close * other.abs().max() + close / 10
