"""Random streams: every draw of every experiment comes from `generator`."""

import hashlib

import numpy as np


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A stream that depends on (seed, purpose, index) alone.

    Two purposes, or two indices, share nothing, so that changing one setting moves no other draw
    (`numpy.random.SeedSequence` mixes the words; the purpose enters as 128 bits of its SHA-256).
    """
    words = np.frombuffer(hashlib.sha256(purpose.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([seed, *map(int, words), len(index), *index]))


def key(seed: int, purpose: str, *index: int) -> int:
    """A secret below 2^63 that depends on (seed, purpose, index) alone, for draws that are counted."""
    return int(generator(seed, purpose, *index).integers(2**63))
