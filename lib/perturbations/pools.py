"""What may replace a token of a canary, as text that the target's tokenizer spells, and where a text may be cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from lib.perturbations.candidates import ReplacementCandidates
from lib.tokens.tokenization import decode, special_ids
from lib.tokens.vocabulary import fragments, spans, spell


@dataclass(frozen=True)
class Pool:
    """Every usable replacement. texts[i] is spelled sequences[i] by the target; ids[i] is its id in the vocabulary
    that it comes from."""

    texts: Sequence[str]
    sequences: Sequence[tuple[int, ...]]
    ids: np.ndarray


def vocabulary_pool(source: PreTrainedTokenizerBase, target: PreTrainedTokenizerBase) -> Pool:
    """The vocabulary of `source` as replacements for target tokens (`mlm`, `mlm_random`).

    Left out: special tokens of either, ids that are not whole characters, texts that the target cannot spell.
    """
    found = fragments(source)
    texts = list(found)
    usable = [(text, ids) for text, ids in zip(texts, spell(target, texts)) if ids]
    return Pool([t for t, _ in usable], [s for _, s in usable], np.array([found[t] for t, _ in usable], dtype=np.int64))


def one_id_each(pool: Pool) -> Pool:
    """The part of a pool that the target spells with a single id, so that a replacement keeps the number of tokens."""
    kept = [i for i, ids in enumerate(pool.sequences) if len(ids) == 1]
    return Pool([pool.texts[i] for i in kept], [pool.sequences[i] for i in kept], pool.ids[kept])


def target_pool(target: PreTrainedTokenizerBase) -> Pool:
    """The target's own vocabulary, each id as it is (`random`)."""
    found = fragments(target)
    return Pool(list(found), [(index,) for index in found.values()], np.array(list(found.values()), dtype=np.int64))


def random_candidates(tokens: np.ndarray, pool: Pool, target: PreTrainedTokenizerBase) -> ReplacementCandidates:
    """Candidates uniform over a pool. tokens: n x L target ids."""
    original, replaceable = originals(tokens, pool, target)
    return ReplacementCandidates(pool.sequences, None, original, replaceable & (len(pool.sequences) > 1))


def originals(tokens: np.ndarray, pool: Pool, target: PreTrainedTokenizerBase) -> tuple[np.ndarray, np.ndarray]:
    """n x L: the pool index that spells each token (-1: none), and whether the token can be cut out of the text."""
    index = {text: i for i, text in enumerate(pool.texts)}
    original = np.full(tokens.shape, -1, dtype=np.int64)
    replaceable = np.zeros(tokens.shape, dtype=bool)
    special = special_ids(target)
    for row, ids in enumerate(tokens.tolist()):
        text = decode(target, ids)
        for column, span in enumerate(spans(target, ids)):
            if span is not None and ids[column] not in special:
                replaceable[row, column] = True
                original[row, column] = index.get(text[slice(*span)], -1)
    return original, replaceable


def contexts(tokens: np.ndarray, replaceable: np.ndarray, target: PreTrainedTokenizerBase) -> list[tuple[str, str]]:
    """The text before and after each replaceable position, in row order. tokens, replaceable: n x L."""
    found = []
    for ids, chosen in zip(tokens.tolist(), replaceable):
        text, where = decode(target, ids), spans(target, ids)
        found += [(text[: where[p][0]], text[where[p][1] :]) for p in np.flatnonzero(chosen)]
    return found
