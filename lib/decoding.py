"""How a text is continued: greedily, or by sampling with temperature, top-k and top-p; and what it makes of a suffix.

Sampling is an exponential race (see lib.sampling) whose noise is counted (see lib.counter_noise): the winner of a row
depends on its own logits, key and step, never on the rows beside it.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from lib.counter_noise import exponentials
from lib.sampling import truncate


@dataclass(frozen=True)
class Decoding:
    """temperature, top_k (0: all ids), top_p (1: all mass) and seed mean something for `sample` only."""

    kind: Literal["greedy", "sample"]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings out of range, and settings that greedy decoding would silently ignore."""
        if not (self.temperature > 0 and self.top_k >= 0 and 0 < self.top_p <= 1 and self.seed >= 0):
            raise ValueError(
                f"decoding: temperature {self.temperature}, top_k {self.top_k}, top_p {self.top_p}, seed {self.seed}: "
                "wanted temperature > 0, top_k >= 0, 0 < top_p <= 1, seed >= 0"
            )
        if self.kind == "greedy" and (self.temperature, self.top_k, self.top_p) != (1.0, 0, 1.0):
            raise ValueError("decoding: temperature, top_k and top_p are for `kind: sample`; leave them out for greedy")


def next_ids(logits: torch.Tensor, decoding: Decoding, keys: torch.Tensor, step: int) -> torch.Tensor:
    """The id that follows each row, int64 (rows,).

    logits: (rows, V); keys: int64 (rows,), one for each text; step: how many ids were drawn before.
    """
    if decoding.kind == "greedy":
        return logits.argmax(1)
    kept, ids = _candidates(logits.float() / decoding.temperature, decoding)
    weights = (kept - kept.amax(1, keepdim=True)).double().exp_()
    winners = (weights / exponentials(keys, step, ids)).argmax(1, keepdim=True)
    return ids.expand(len(logits), -1).gather(1, winners)[:, 0]


def log_probs(logits: torch.Tensor, targets: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """ln of the probability that decoding picks each target, float32 (rows,): -inf for what it never picks.

    Greedy decoding is certain of one id. Sampling renormalises over what top-k and top-p leave.
    logits: (rows, V); targets: int64 (rows,).
    """
    if decoding.kind == "greedy":
        picked = logits.argmax(1) == targets
        return torch.where(picked, 0.0, -torch.inf)
    kept = truncate(logits.float() / decoding.temperature, decoding.top_k, decoding.top_p)
    return kept.log_softmax(1).gather(1, targets[:, None])[:, 0]


def _candidates(logits: torch.Tensor, decoding: Decoding) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that may win and their ids (one row of ids when they are the same for all)."""
    vocabulary = logits.shape[1]
    if not 0 < decoding.top_k < vocabulary:
        ids = torch.arange(vocabulary, device=logits.device)[None]
        return truncate(logits, 0, decoding.top_p), ids
    # ids that tie with the k-th stay in, as `truncate` has it, so more than k are looked at where there are ties
    kept = truncate(logits, decoding.top_k, decoding.top_p)
    widest = int(torch.isfinite(kept).sum(1).amax())
    return kept.topk(max(1, widest))
