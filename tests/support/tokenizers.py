"""Tokenizers: the tiny one, loaded, and the other families: sentencepiece-like (Llama, Gemma), WordPiece (BERT)."""

import json
from pathlib import Path

import pytest

CORPUS = [
    "the quick brown fox jumps over a lazy dog while many small models remember text",
    "others forget what they have read once in a book about rivers mountains and old machines",
] * 3


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
