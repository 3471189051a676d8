"""A tree of texts against one forward pass for each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, MambaConfig, PhiConfig

from lib.base.errors import UsageError
from lib.models import prefix_tree
from lib.models.prefix_tree import PrefixTree

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 32}


CONFIGS = {
    "llama": LlamaConfig(**SIZES, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2),
    "gpt_neox": GPTNeoXConfig(**SIZES, num_hidden_layers=2, num_attention_heads=4),
    "phi": PhiConfig(**SIZES, num_hidden_layers=2, num_attention_heads=4),
    "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=32),
}


@pytest.fixture(scope="module", params=prefix_tree.MODELS)
def model(request):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[request.param]).eval()


@given(st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=4), min_size=1, max_size=5), st.integers(1, 6))
def test_every_node_predicts_what_its_path_predicts(model, branches: list[list[int]], stem: int) -> None:
    """Branches leave the stem at its end, its middle and its beginning; all of one depth are added together."""
    root = list(range(stem))
    tree = PrefixTree(model, root, room=40)
    found = dict(enumerate(tree.stem))
    paths = {end: root[: end + 1] for end in range(stem)}
    tips = [number % stem for number in range(len(branches))]
    for depth in range(4):
        alive = [number for number, branch in enumerate(branches) if depth < len(branch)]
        if not alive:
            break
        first = tree.size
        ids = np.array([branches[number][depth] for number in alive])
        logits = tree.grow(np.array([tips[number] for number in alive]), ids)
        for place, (number, index) in enumerate(zip(alive, ids)):
            paths[first + place] = [*paths[tips[number]], int(index)]
            found[first + place], tips[number] = logits[place], first + place
    for node, path in paths.items():
        with torch.no_grad():
            wanted = model(torch.tensor([path])).logits[0, -1]
        torch.testing.assert_close(found[node], wanted, rtol=1e-5, atol=1e-5)


def test_what_is_cut_leaves_nothing_behind(model) -> None:
    tree = PrefixTree(model, [1, 2, 3], room=6)
    before = tree.grow(np.array([1]), np.array([7]))
    tree.cut(1)
    tree.grow(np.array([0, 2, 2]), np.array([8, 9, 10]))
    tree.cut(3)
    torch.testing.assert_close(tree.grow(np.array([1]), np.array([7])), before)


def test_models_that_cannot_are_refused() -> None:
    mamba = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(UsageError, match="a mamba model cannot read a tree of texts; name one of gpt2, gpt_neox"):
        PrefixTree(mamba, [1, 2], room=4)
    short = AutoModelForCausalLM.from_config(GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=4))
    with pytest.raises(UsageError, match="a text has 4 tokens; the model reads 4"):
        PrefixTree(short, [1, 2, 3, 4], room=6)
