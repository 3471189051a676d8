"""Fixtures that several modules share: tokenizers of three families, tiny models with random weights."""

import json
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import signals

signals.let_commands_be_interrupted()

# The same examples in every run, and no verdict on how fast the machine is.
settings.register_profile("tessera", derandomize=True, deadline=None, database=None)
settings.load_profile("tessera")

WORDS = (
    "the quick brown fox jumps over a lazy dog while many small models remember text that was repeated inexactly "
    "and others forget what they have read once in a book about rivers mountains letters numbers and old machines "
)
CORPUS = [
    "the quick brown fox jumps over a lazy dog while many small models remember text",
    "others forget what they have read once in a book about rivers mountains and old machines",
] * 3


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


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path):
    """The tiny tokenizer, loaded, one a module: what a test does to it stays there."""
    from lib.models import loading

    return loading.load_tokenizer(tiny_tokenizer)


@pytest.fixture(scope="session")
def sentencepiece_like():
    """BPE as Llama's: a space before the text, U+2581 for spaces, bytes for unknown characters; decoding strips one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    spaces = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    trained = Tokenizer(models.BPE())
    trained.normalizer = spaces
    special = ["<unk>", "<s>", "</s>"]
    words = [word for line in CORPUS for word in line.split()]
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=120, special_tokens=special))
    model = json.loads(trained.to_str())["model"]
    for byte in range(256):
        model["vocab"][f"<0x{byte:02X}>"] = len(model["vocab"])
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(model["vocab"], merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = spaces
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def wordpiece():
    """WordPiece as BERT's (cased), with [CLS] ... [SEP] around every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", clean_up_tokenization_spaces=False,
    )  # fmt: skip


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


@pytest.fixture
def hub_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The hub on loopback (tests/support/hub_server.py), and an empty cache."""
    import huggingface_hub

    from tests.support import hub_server

    with hub_server.serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server
        huggingface_hub.utils.close_session()  # one made while offline was set would stay offline
