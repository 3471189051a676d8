"""Trains byte-level BPE tokenizers, which decode every text exactly (without torch, so their stage starts fast)."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lib.base.errors import TesseraError

END_OF_TEXT = "<|endoftext|>"  # opens, ends and pads, as in the published GPT-NeoX models
MASKED_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # in the order of RoBERTa's vocabulary


def train_tokenizer(texts: Sequence[str], vocab_size: int, masked: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of `vocab_size` ids that spells every text back exactly.

    Causal: one special token, `<|endoftext|>`, id 0. Masked: RoBERTa's five, and `<s>`, `</s>` put around a text.
    Raises TesseraError for an empty corpus or one too small for the vocabulary.
    """
    if not any(texts):
        raise TesseraError("the corpus is empty; give text to train a tokenizer on")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = list(MASKED_SPECIALS) if masked else [END_OF_TEXT]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    least, found = len(special) + len(alphabet), tokenizer.get_vocab_size()
    if vocab_size < least:
        raise TesseraError(
            f"vocab_size is {vocab_size}; it must be at least {least}: every byte and special token has an id"
        )
    if found != vocab_size:
        raise TesseraError(
            f"vocab_size {vocab_size} is out of reach: this corpus gives {found} ids; set vocab_size to that, or give "
            "more text"
        )
    return _masked_tokenizer(tokenizer) if masked else _causal_tokenizer(tokenizer)


def from_merges(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """The byte-level BPE tokenizer of a vocabulary and merges as GPT-2 has them, `<|endoftext|>` among its ids."""
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _causal_tokenizer(tokenizer)


def _causal_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )


def _masked_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    begin, pad, end, unknown, mask = MASKED_SPECIALS
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, 0), (end, 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, cls_token=begin, sep_token=end, pad_token=pad,
        unk_token=unknown, mask_token=mask, clean_up_tokenization_spaces=False,
    )  # fmt: skip
