"""Where the weights of a model go, without a GPU: torch is asked for its memory, and answers what a test says."""

import itertools
from collections.abc import Sequence

import accelerate
import numpy as np
import pytest
import torch
from accelerate.utils import check_device_map
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from lib.base import gpus
from lib.base.errors import TesseraError
from lib.generation import static_step
from lib.models import attention_cache, loading, placement
from tests.gpu import models

FAMILIES = ("neox", "neo", "llama", "mamba")


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch):
    """Cards with so many bytes free, beside what is kept for PyTorch."""

    def have(*free: float) -> None:
        memory = [(size + placement.RESERVE, 2e12) for size in free]
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: memory[place])
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(memory))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    return have


def skeleton(family: str) -> torch.nn.Module:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(models.configured(family, tiny=True))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.lists(st.integers(-3, 30), min_size=1, max_size=3))
def test_layers_go_to_the_gpus_in_order_wherever_that_is_possible(sizes: list[int], room: list[int]) -> None:
    """Oracle: every way to cut the layers into as many pieces as there are GPUs."""
    ways = itertools.combinations_with_replacement(range(len(room)), len(sizes))
    fit = [way for way in ways if all(held(sizes, way, gpu) <= max(0, room[gpu]) for gpu in range(len(room)))]
    chosen = placement.filled(np.array(sizes), np.array(room))
    assert (tuple(chosen) in fit) if chosen is not None else not fit


def held(sizes: list[int], way: Sequence[int], gpu: int) -> int:
    return sum(size for size, place in zip(sizes, way) if place == gpu)


def test_gpus_are_filled_to_the_same_share() -> None:
    assert placement.filled(np.ones(12), np.array([60.0, 60.0])) == [0] * 6 + [1] * 6
    assert placement.filled(np.ones(12), np.array([20.0, 60.0])) == [0] * 3 + [1] * 9


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_go_in_and_logits_come_out_on_the_first_gpu(family: str, cards) -> None:
    model = skeleton(family)
    total, layer = (placement._size(part) for part in (model, model.get_submodule(placement._layers(model)[0])))
    cards(total - 0.9 * layer, 1.1 * layer)  # both have room for a layer, the first also for the rest
    found = placement.spread(model, [0, 1])
    check_device_map(model, found)  # accelerate: every weight has a place
    assert set(found.values()) == {0, 1}
    layers = [found[name] for name in placement._layers(model)]
    assert layers == sorted(layers)
    assert {place for name, place in found.items() if name not in placement._layers(model)} == {0}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_with_the_hooks_of_a_spread_one_gives_the_same_logits(family: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(models.configured(family, tiny=True)).eval()
    ids = torch.arange(1, 25)[None]
    with torch.inference_mode():
        expected = model(ids).logits
        places = dict.fromkeys([*placement._outside(model, placement._layers(model)), *placement._layers(model)], "cpu")
        spread = accelerate.dispatch_model(model, places, main_device="cpu", force_hooks=True)
        torch.testing.assert_close(spread(ids).logits, expected, rtol=0, atol=0)
        assert spread.base_model(ids).last_hidden_state.device == ids.device


def test_a_model_that_does_not_fit_is_refused_with_the_memory_it_needs(tiny_causal_lm, cards, monkeypatch) -> None:
    model = loading.load_causal_lm(tiny_causal_lm)
    needed = placement.weights_bytes(loading.weight_files(tiny_causal_lm, tiny_causal_lm), "bfloat16")
    assert needed == 2 * model.num_parameters()
    monkeypatch.setattr(placement, "GB", 1e3)
    cards(needed - 1)
    said = f"its weights need {needed / 1e3:.1f} GB in bfloat16, and the GPU has .* GB free; give the task more"
    with pytest.raises(TesseraError, match=said):
        loading.load_causal_lm(tiny_causal_lm, "bfloat16", "cuda")
    monkeypatch.setenv(gpus.ASKED, "2")
    cards(needed / 2 - 1, needed / 2 - 1)
    with pytest.raises(TesseraError, match="and the 2 GPUs of this task have"):
        loading.load_causal_lm(tiny_causal_lm, "bfloat16", "cuda")
    cards(needed / 20, needed)  # in sum enough, but not for the embeddings
    with pytest.raises(TesseraError, match="must fit on the first GPU"):
        loading.load_causal_lm(tiny_causal_lm, "bfloat16", "cuda")


def test_a_model_on_several_devices_is_not_continued_by_steps_of_one(monkeypatch) -> None:
    monkeypatch.setattr(static_step, "DEVICES", ("cpu",))
    model = AutoModelForCausalLM.from_config(models.configured("neox", tiny=True))
    state = attention_cache.buffered(model.config, 8)
    assert static_step.suits(model, state)
    model.gpt_neox.layers[1].to("meta")  # stands for another GPU
    assert placement.is_spread(model)
    assert not static_step.suits(model, state)


def test_only_a_task_that_asked_for_several_gpus_spreads_its_models(cards, monkeypatch) -> None:
    cards(1, 1, 1)
    assert [placement.gpus(device) for device in ("cpu", "cuda", "cuda:1")] == [[], [0], [1]]
    monkeypatch.setenv(gpus.ASKED, "2")
    assert [placement.gpus(device) for device in ("cpu", "cuda", "cuda:1")] == [[], [0, 1], [1]]
