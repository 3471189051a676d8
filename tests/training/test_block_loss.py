"""The loss by blocks of positions against transformers' own loss, and a sum over float64 logits."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import CohereConfig, CohereForCausalLM

from lib.training import block_loss, sequences
from tests.models.test_token_scores import SIZES, V, model_named

ROWS, LENGTH, POSITIONS = 3, 21, 8


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch) -> None:
    monkeypatch.setattr(sequences, "BLOCK_VALUES", POSITIONS * V)


def batch() -> dict[str, torch.Tensor]:
    """Rows of different lengths; one is empty, as the last ones of an epoch may be."""
    ids = torch.randint(0, V, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[1, 9:] = labels[2] = sequences.IGNORED
    return {"input_ids": ids, "labels": labels}


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any result over the vocabulary had."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for each in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(each, torch.Tensor) and each.shape[-1:] == (V,):
                self.numbers = max(self.numbers, each.numel())
        return found


@pytest.mark.parametrize("items", [None, 7])
@pytest.mark.parametrize("name", ["gpt_neox", "gpt_neo", "llama", "gemma2", "mamba"])
def test_loss_and_gradients_are_those_of_all_logits_at_once(name, items) -> None:
    """Heads of their own, tied ones, and soft caps; with the number of labels of a larger batch and without."""
    plain, given = model_named(name).train(), batch()
    blocked = copy.deepcopy(plain).eval()
    whole = plain(**given, use_cache=False, **({} if items is None else {"num_items_in_batch": items})).loss
    whole.backward()
    with block_loss.used(blocked, ROWS, LENGTH) as said, Largest() as largest:
        assert said == f"the loss by blocks of {POSITIONS} positions"
        found = blocked.train()(**given, num_items_in_batch=items)
        found["loss"].backward()
    assert "forward" not in vars(blocked)
    torch.testing.assert_close(found["loss"], whole, rtol=1e-6, atol=0)
    for mine, theirs in zip(blocked.parameters(), plain.parameters()):
        assert (mine.grad - theirs.grad).norm() <= 1e-6 * theirs.grad.norm()
    assert POSITIONS * V <= largest.numbers < ROWS * LENGTH * V


def test_sums_of_rows_are_those_of_logits_in_float64() -> None:
    model, given = model_named("llama"), batch()
    with block_loss.used(model, ROWS, LENGTH), torch.no_grad():
        sums = model(**given)["sums"]
    with torch.no_grad():
        log_probs = model(given["input_ids"]).logits.double().log_softmax(-1)
    for row, labels in enumerate(given["labels"]):
        places = [place for place in range(1, LENGTH) if labels[place] >= 0]
        nll = -sum(float(log_probs[row, place - 1, labels[place]]) for place in places)
        assert sums[row].tolist() == pytest.approx([nll, len(places)], rel=1e-5)


def test_small_batches_and_unusual_heads_keep_the_path_of_transformers() -> None:
    small, scaled = model_named("llama"), CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.5)).eval()
    with block_loss.used(small, 1, POSITIONS) as said:
        assert said == "the loss from all logits at once"
        assert "logits" in small(**batch())
    with block_loss.used(scaled, ROWS, LENGTH) as said:
        assert said.endswith("CohereForCausalLM has an unusual output head")
        assert "logits" in scaled(**batch())
