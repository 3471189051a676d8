"""Train a byte-level BPE tokenizer on the pre-training documents of a text artifact.

python -m jobs tokenizer --config tokenizer.yaml --out DIR

A stage of its own, so that canaries can be drawn while the model that reads its ids is still pre-trained.
"""

from dataclasses import dataclass
from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.texts.documents import leading, read_shuffled

VERSION = 1
INPUTS = ("text",)
SLUG = ("vocab_size",)


@dataclass(frozen=True)
class Config:
    """vocab_size ids, from the first `characters` characters of the documents in an order drawn from `seed`."""

    vocab_size: int = 2048
    characters: int = 5_000_000
    seed: int = 0


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train and save. Raises TesseraError when the text artifact has no pre-training text."""
    from lib.tokens import train_bpe

    texts = read_shuffled(store.find(inputs["text"], places.TEXT), config.seed)
    sample = leading(texts, config.characters)
    train_bpe.train_tokenizer(sample, config.vocab_size, masked=False).save_pretrained(out)
