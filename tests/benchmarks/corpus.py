"""The text of the benchmarks: source, docstrings and licences of installed packages, in GPT-2's ids."""

import functools
import tempfile
from pathlib import Path

import numpy as np

PACKAGES = (
    "sympy", "scipy", "pandas", "scikit-learn", "networkx", "numpy", "transformers", "torch", "numba", "datasets",
)  # fmt: skip
BATCH = 256  # documents encoded at once


@functools.cache
def tokenizer():
    """GPT-2's tokenizer as the stage gpt2_tokenizer makes it."""
    from jobs.models import gpt2_tokenizer
    from lib.models import loading

    with tempfile.TemporaryDirectory() as folder:
        gpt2_tokenizer.run(gpt2_tokenizer.Config(), {}, Path(folder))
        return loading.load_tokenizer(Path(folder))


@functools.cache
def documents(n_characters: int) -> list[str]:
    """Whole documents, package after package, until they reach `n_characters`. Fewer where less is installed."""
    from lib.texts.package_docs import texts

    found, size = [], 0
    for package in PACKAGES:
        for document in texts(package):
            if size >= n_characters:
                return found
            found.append(document.text)
            size += len(document.text)
    return found


@functools.cache
def tokens(n_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """(tokens uint16, offsets uint64) of `n_tokens` tokens (the last document is cut), fewer where less is installed.

    Text of one package lies together, as in a crawl; GPT-2 has at least 1.5 characters a token for source text.
    """
    from lib.tokens.encoders import Encoder

    encoder, ids, lengths, size = Encoder(tokenizer()), [], [], 0
    given = documents(5 * n_tokens)
    for first in range(0, len(given), BATCH):
        encoded = encoder.compared(given[first : first + BATCH], first)
        ids.append(encoded.ids.astype(np.uint16))
        lengths.append(encoded.lengths)
        size += len(encoded.ids)
        if size >= n_tokens:
            break
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    whole = np.concatenate(ids)[:n_tokens]
    offsets = np.append(offsets[offsets < len(whole)], len(whole))
    return whole, offsets.astype(np.uint64)
