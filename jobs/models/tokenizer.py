"""Train a byte-level BPE tokenizer on the pre-training documents of a text artifact.

    python -m jobs tokenizer --config FILE --out DIR

FILE holds:

    inputs: {text: DIR}     # a result of the stage text or repeated_text
    vocab_size: 2048

Result: a tokenizer as transformers saves it. This is a stage of its own so that canaries can be drawn while the model
that reads its ids is still being pre-trained.
"""

from dataclasses import dataclass
from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.base.config import at_least
from lib.texts.documents import leading, read_shuffled

VERSION = 1
INPUTS = ("text",)
SLUG = ("vocab_size",)


@dataclass(frozen=True)
class Config:
    """Its size, and the text it is trained on.

    vocab_size: how many ids the tokenizer has
    characters: it is trained on so many characters of the documents, in the order drawn from `seed`
    seed: the seed of the order of the documents
    """

    vocab_size: int = 2048
    characters: int = 5_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small."""
        at_least(1, vocab_size=self.vocab_size, characters=self.characters)
        at_least(0, seed=self.seed)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train and save. Raises TesseraError for a text artifact without pre-training text."""
    from lib.tokens import train_bpe

    texts = read_shuffled(store.find(inputs["text"], places.TEXT), config.seed)
    sample = leading(texts, config.characters)
    train_bpe.train_tokenizer(sample, config.vocab_size, masked=False).save_pretrained(out)
