"""The one sampler: the rows of a batch grow by an id a step, until each has enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lib.generation.decoder_state import DecoderState
from lib.generation.decoding import Decoding
from lib.generation.next_token import next_ids

ENDED = -1  # what fills a row after its end
CHECK_EVERY = 8  # ids between two looks at which rows have enough
COMPACT_BELOW = 0.5  # share of rows still growing at which the batch is made smaller

Finished = Callable[[torch.Tensor], torch.Tensor]  # the ids of some rows so far (k, t) -> bool (k,)
Observe = Callable[[torch.Tensor, int, torch.Tensor, torch.Tensor], None]  # (rows, step, their logits, their ids)


@dataclass
class _Batch:
    """The rows that a state holds, and whether each still gets ids; `made`: (rows of the beginning, n_tokens)."""

    state: DecoderState
    made: torch.Tensor
    rows: torch.Tensor
    growing: torch.Tensor

    def look(self, step: int, ids: torch.Tensor, finished: Finished) -> torch.Tensor:
        """Ask which rows have enough after `step` ids; drop them once few are left. The last ids of those that stay."""
        still = self.growing.nonzero()[:, 0]
        self.growing[still] = ~finished(self.made[self.rows[still], :step])
        if not 0 < self.growing.sum() < COMPACT_BELOW * len(self.rows):
            return ids
        kept = self.growing.nonzero()[:, 0]
        self.state.select(kept)
        self.rows, self.growing = self.rows[kept], self.growing[kept]
        return ids[kept]


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
    are never drawn. What becomes of a row does not depend on the rows beside it, except for ties up to rounding.
    """
    made = torch.full((len(logits), n_tokens), ENDED, dtype=torch.long, device=logits.device)
    rows = torch.arange(len(logits), device=logits.device)
    batch = _Batch(state, made, rows, torch.ones_like(rows, dtype=torch.bool))
    never = torch.tensor(list(suppress), dtype=torch.long, device=logits.device)
    for step in range(n_tokens):  # between two looks nothing waits for a GPU
        logits.index_fill_(1, never, -torch.inf)
        ids = next_ids(logits, how, keys[batch.rows], step)
        made[batch.rows, step] = torch.where(batch.growing, ids, ENDED)
        if observe:
            observe(batch.rows, step, logits, ids)
        if (step + 1) % CHECK_EVERY == 0:
            ids = batch.look(step + 1, ids, finished)
            if not batch.growing.any():
                break
        if step + 1 < n_tokens:
            logits = state.step(ids)
    return made
