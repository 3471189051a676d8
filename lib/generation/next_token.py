"""The next id of every text, greedy or sampled with temperature, top-k and top-p; and how likely a given id was.

Sampling is an exponential race: argmax_v p_v / E_v with E_v ~ Exp(1) is distributed as p (the Gumbel-max trick without
the logarithms). Unlike an inverse distribution function, it changes its winner only when the two fastest tie up to
rounding. Its noise is counted (see lib.generation.counter_noise): the winner of a row depends on its own logits, key
and step, never on the rows beside it.
"""

import torch

from lib.generation.counter_noise import exponentials
from lib.generation.decoding import Decoding
from lib.kernels.largest import largest

# Values of some rows that are raced at once: what a processor's cache holds, or 1 GB of float64.
BLOCK_VALUES = {"cpu": 1 << 18, "cuda": 1 << 27}


def next_ids(logits: torch.Tensor, decoding: Decoding, keys: torch.Tensor, step: int) -> torch.Tensor:
    """The id that follows each row, int64 (rows,).

    logits: (rows, V); keys: int64 (rows,), one for each text; step: how many ids were drawn before.
    """
    if decoding.kind == "greedy":
        return logits.argmax(1)
    rows = max(1, BLOCK_VALUES.get(logits.device.type, BLOCK_VALUES["cpu"]) // logits.shape[1])
    return torch.cat([_drawn(*part, decoding, step) for part in zip(logits.split(rows), keys.split(rows))])


def _drawn(logits: torch.Tensor, keys: torch.Tensor, decoding: Decoding, step: int) -> torch.Tensor:
    kept, ids = _choices(logits.float() / decoding.temperature, decoding)
    weights = (kept - kept.amax(1, keepdim=True)).double().exp_()
    winners = weights.div_(exponentials(keys, step, ids)).argmax(1, keepdim=True)
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


def truncate(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Set to -inf what top-k, then nucleus sampling leave out. logits: rows x V; ties at the cut stay in."""
    if 0 < top_k < logits.shape[1]:
        cut = largest(logits, top_k)[0][:, -1:]
        logits = logits.masked_fill(logits < cut, -torch.inf)
    if top_p < 1:
        ordered = logits.sort(descending=True).values
        mass = ordered.softmax(1).cumsum(1)
        last = (mass < top_p).sum(1, keepdim=True).clamp_(max=logits.shape[1] - 1)  # the id that reaches the mass stays
        logits = logits.masked_fill(logits < ordered.gather(1, last), -torch.inf)
    return logits


def _choices(logits: torch.Tensor, decoding: Decoding) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that may win and their ids (one row of ids when they are the same for all)."""
    vocabulary = logits.shape[1]
    if not 0 < decoding.top_k < vocabulary:
        ids = torch.arange(vocabulary, device=logits.device)[None]
        return truncate(logits, 0, decoding.top_p), ids
    values, ids = largest(logits, decoding.top_k + 1)
    cut = values[:, -2:-1]
    if (values[:, -1:] == cut).any():  # ids that tie with the k-th stay in, as `truncate` has it
        values, ids = logits.topk(int((logits >= cut).sum(1).amax()))
    return truncate(values.masked_fill(values < cut, -torch.inf), 0, decoding.top_p), ids
