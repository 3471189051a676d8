"""Finds replacement candidates for each token of a canary by a causal language model.

The text before a token proposes: the PROPOSALS likeliest next tokens of a pool. The text after it decides: they are
ranked by ln p(proposal | before) + ln p(next | before, proposal), where `next` is the first token of the text after. So
for top_k of PROPOSALS or more all proposals are taken, and the text after plays no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.base.errors import UsageError
from lib.base.progress import Advance, unheard
from lib.models.prefix_tree import PrefixTree
from lib.perturbations.candidates import PROPOSALS, ReplacementCandidates
from lib.perturbations.pools import Pool, contexts, originals
from lib.tokens.tokenization import encode_all


def likely_candidates(
    tokens: np.ndarray,
    pool: Pool,
    target: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    start: int,
    *,
    top_k: int,
    batch_size: int,
    advance: Advance = unheard,
    context: int = 0,
) -> ReplacementCandidates:
    """The `top_k` best of a pool for each position from `context` on; the original is not among them.

    tokens: n x L target ids; model and tokenizer: the causal LM that the pool comes from; start: the id of it that
    opens every text; batch_size: proposals read at once; advance: called with the positions of every canary. Raises
    UsageError when the pool is smaller than `top_k` + 1, and for a model that cannot read a `PrefixTree`.
    """
    if not 1 <= top_k < len(pool.sequences):
        raise UsageError(f"top_k is {top_k}; the causal LM has {len(pool.sequences)} usable tokens; lower top_k")
    original, replaceable = originals(tokens, pool, target)
    replaceable[:, :context] = False
    options = [np.zeros(0, dtype=np.int64)] * tokens.size
    for row in range(len(tokens)):
        gaps = _gaps(tokens[[row]], replaceable[[row]], original[row], target, tokenizer)
        found = _of_text(model, start, gaps, pool.ids, top_k, batch_size)
        for position, choice in zip(np.flatnonzero(replaceable[row]), found):
            options[row * tokens.shape[1] + position] = choice
        advance(tokens.shape[1])
    return ReplacementCandidates(pool.sequences, options, original, replaceable)


@dataclass(frozen=True)
class Gap:
    """A place for another token: the model's ids before it, the first id after it (None: nothing follows), and the
    index in the pool that is not to be chosen (-1: none)."""

    before: list[int]
    following: int | None
    original: int


def _gaps(
    tokens: np.ndarray,
    replaceable: np.ndarray,
    original: np.ndarray,
    target: PreTrainedTokenizerBase,
    tokenizer: PreTrainedTokenizerBase,
) -> list[Gap]:
    found = contexts(tokens, replaceable, target)
    before, after = (encode_all(tokenizer, side) for side in (zip(*found) if found else ((), ())))
    known = original[np.flatnonzero(replaceable[0])].tolist()
    return [Gap(left, right[0] if right else None, index) for left, right, index in zip(before, after, known)]


def _of_text(
    model: PreTrainedModel, start: int, gaps: Sequence[Gap], ids: NDArray[np.int64], top_k: int, batch_size: int
) -> list[NDArray[np.int64]]:
    """For each gap of one text the indices into `ids`, best first, int64 (top_k,)."""
    if not gaps:
        return []
    tree, ends, logits = _read(model, start, gaps, room=batch_size)
    usable = torch.from_numpy(ids).to(logits.device)
    likely = logits.log_softmax(dim=1)[:, usable]
    for row, gap in enumerate(gaps):
        if gap.original >= 0:
            likely[row, gap.original] = -torch.inf
    best = likely.topk(min(max(top_k, PROPOSALS), len(ids) - 1), dim=1)
    scores, proposed = best.values.cpu().numpy(), best.indices.cpu().numpy()
    if proposed.shape[1] > top_k:
        scores = scores + _followed(tree, ends, ids[proposed], gaps, batch_size)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return list(np.take_along_axis(proposed, order, axis=1))


def _read(
    model: PreTrainedModel, start: int, gaps: Sequence[Gap], room: int
) -> tuple[PrefixTree, NDArray[np.int64], torch.Tensor]:
    """The tree of all texts before the gaps, with `room` for more nodes, the node at which each ends, and the logits
    there (gaps, V)."""
    stem = [start, *max((gap.before for gap in gaps), key=len)]
    paths = [tuple([start, *gap.before][: end + 1]) for gap in gaps for end in range(len(gap.before) + 1)]
    nodes = {tuple(stem[: end + 1]): end for end in range(len(stem))}
    others = sorted(set(paths) - set(nodes), key=lambda path: (len(path), path))
    tree = PrefixTree(model, stem, room=len(stem) + len(others) + room)
    logits = [tree.stem]
    while others:  # a few rounds: all whose text before is there are read at once
        new = [path for path in others if path[:-1] in nodes]
        others = [path for path in others if path[:-1] not in nodes]
        parents = np.array([nodes[path[:-1]] for path in new])
        nodes |= {path: tree.size + number for number, path in enumerate(new)}
        logits.append(tree.grow(parents, np.array([path[-1] for path in new])))
    ends = np.array([nodes[(start, *gap.before)] for gap in gaps])
    return tree, ends, torch.cat(logits)[ends]


def _followed(
    tree: PrefixTree, ends: NDArray[np.int64], proposed: NDArray[np.int64], gaps: Sequence[Gap], batch_size: int
) -> NDArray[np.float32]:
    """ln p of what follows each gap after each of its proposed ids, (gaps, proposals); 0 where nothing follows."""
    rows, columns = np.nonzero(np.broadcast_to([[gap.following is not None] for gap in gaps], proposed.shape))
    following = np.array([gap.following or 0 for gap in gaps])
    found = np.zeros(proposed.shape, dtype=np.float32)
    for at in range(0, len(rows), batch_size):
        row, column = rows[at : at + batch_size], columns[at : at + batch_size]
        logits = tree.grow(ends[row], proposed[row, column]).log_softmax(dim=1)
        tree.cut(len(row))
        found[row, column] = logits[np.arange(len(row)), following[row]].cpu().numpy()
    return found
