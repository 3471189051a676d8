"""Fixtures that several modules share: tiny models with random weights, saved as transformers saves them."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, and no verdict on how fast the machine is.
settings.register_profile("tessera", derandomize=True, deadline=None, database=None)
settings.load_profile("tessera")

WORDS = (
    "the quick brown fox jumps over a lazy dog while many small models remember text that was repeated inexactly "
    "and others forget what they have read once in a book about rivers mountains letters numbers and old machines "
)


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer of 400 ids with <|endoftext|> as bos, eos and pad (id 0)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([WORDS, WORDS.title(), "0123456789 (x, y) = f[i]"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[0], pad_token=special[0],
        mask_token=special[1], clean_up_tokenization_spaces=False,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tokenizer")
    fast.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_causal_lm(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-NeoX of width 32 with random weights and the tiny tokenizer."""
    import torch
    from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=256, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return _save(GPTNeoXForCausalLM(config), AutoTokenizer.from_pretrained(tiny_tokenizer), tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_masked_lm(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa of width 32 with random weights and the tiny tokenizer."""
    import torch
    from transformers import AutoTokenizer, RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=260, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return _save(RobertaForMaskedLM(config), AutoTokenizer.from_pretrained(tiny_tokenizer), tmp_path_factory)


def _save(model, tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(type(model).__name__)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
