"""The one sampler: the rows of a batch grow by an id a step, until each has enough."""

from collections.abc import Callable, Sequence

import torch

from lib.generation.decoder_state import DecoderState
from lib.generation.decoding import Decoding
from lib.generation.next_token import next_ids

ENDED = -1  # what fills a row after its end
CHECK_EVERY = 8  # ids between two looks at which rows have enough
COMPACT_BELOW = 0.5  # share of rows still growing at which the batch is made smaller

Finished = Callable[[torch.Tensor], torch.Tensor]  # the ids of some rows so far (k, t) -> bool (k,)
Observe = Callable[[torch.Tensor, int, torch.Tensor, torch.Tensor], None]  # (rows, step, their logits, their ids)


def grow(
    state: DecoderState,
    logits: torch.Tensor,
    n_tokens: int,
    how: Decoding,
    keys: torch.Tensor,
    finished: Finished,
    suppress: Sequence[int] = (),
    observe: Observe | None = None,
) -> torch.Tensor:
    """Up to `n_tokens` new ids for every row, int64 (rows, n_tokens), ENDED after those of a finished row.

    state: of the ids that came before; logits: (rows, V), what follows them; keys: int64 (rows,), the secret that all
    draws of a row come from. finished: asked every CHECK_EVERY ids about the rows that still grow. suppress: ids that
    are never drawn. What becomes of a row does not depend on the rows beside it, but for ties to rounding.
    """
    made = torch.full((len(logits), n_tokens), ENDED, dtype=torch.long, device=logits.device)
    batch = torch.arange(len(logits), device=logits.device)  # the rows that the state holds
    growing = torch.ones_like(batch, dtype=torch.bool)  # whether they still get ids
    for step in range(n_tokens):
        logits[:, list(suppress)] = -torch.inf
        ids = next_ids(logits, how, keys[batch], step)
        made[batch[growing], step] = ids[growing]
        if observe:
            observe(batch, step, logits, ids)
        if step + 1 == n_tokens:
            break
        if (step + 1) % CHECK_EVERY == 0:
            growing[growing.clone()] = ~finished(made[batch[growing], : step + 1])
            if not growing.any():
                break
            if growing.sum() < COMPACT_BELOW * len(batch):
                state.select(torch.nonzero(growing)[:, 0])
                batch, ids, growing = batch[growing], ids[growing], growing[growing]
        logits = state.logits(state.read(ids[:, None])[:, -1])
    return made
