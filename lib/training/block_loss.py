"""The loss of a causal model by blocks of positions, so that its logits are never all there at once.

The output matrix and the cross entropy of a block run forward again in the backward pass (Chen et al., arXiv
1604.06174). A vocabulary of 256,000 ids would need 8 GB for the float32 logits of 4 x 2,048 positions, and their
logarithms and gradients as much again each; a block needs 0.3 GB.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from lib.models import limits
from lib.training import sequences
from lib.training.sequences import IGNORED

Head = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def used(model: Any, rows: int, length: int) -> Iterator[str]:
    """Let `model` compute its loss by blocks, if batches of rows x length have more than BLOCK_VALUES logits.

    Yields in words how it is computed. Then the model returns `loss` and, in place of logits, the `sums` of
    `row_sums`. To be entered before weights are spread over ranks.
    """
    positions = block_positions(model)
    if rows * length <= positions:
        yield "the loss from all logits at once"
        return
    forward = _forward(model, positions)
    if not _agrees(model, forward):
        yield f"the loss from all logits at once, with more memory: {type(model).__name__} has an unusual output head"
        return
    model.forward = forward
    try:
        yield f"the loss by blocks of {positions} positions"
    finally:
        del model.forward


def block_positions(model: Any) -> int:
    """How many positions have no more than BLOCK_VALUES logits, at least one."""
    return max(1, sequences.BLOCK_VALUES // limits.n_logits(model))


def by_blocks(head: Head, hidden: torch.Tensor, labels: torch.Tensor, positions: int) -> torch.Tensor:
    """Negative log-likelihoods of the labels 1..: float32, rows x (length - 1), 0 where nothing is predicted.

    hidden: rows x length x width; labels: int64, rows x length, IGNORED where nothing is predicted.
    """
    states, targets = hidden[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    blocks = zip(states.split(positions), targets.split(positions))
    found = [checkpoint(_nll, head, *block, use_reentrant=False, preserve_rng_state=False) for block in blocks]
    return torch.cat(found).view(len(labels), -1)


def row_sums(nll: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of each row of `by_blocks` and how many labels it is of: float64, rows x 2."""
    return torch.stack([nll.double().sum(dim=1), (labels[:, 1:] != IGNORED).sum(dim=1).double()], dim=1)


def _nll(head: Head, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(head(states).float(), targets, ignore_index=IGNORED, reduction="none")


def _forward(model: Any, positions: int) -> Callable[..., dict[str, torch.Tensor]]:
    """What stands for the model's own forward pass. Its submodules are called, so that ZeRO gathers their weights."""
    head = _head(model)

    def forward(
        input_ids: torch.Tensor, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> dict[str, torch.Tensor]:
        hidden = model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        nll = by_blocks(head, hidden, labels, positions)
        items = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return {"loss": nll.sum() / items, "sums": row_sums(nll.detach(), labels)}

    return forward


def _head(model: Any) -> Head:
    """Hidden states to logits; Gemma 2 caps its logits softly after the output matrix."""
    output = model.get_output_embeddings()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return output if cap is None else lambda hidden: torch.tanh(output(hidden) / cap) * cap


def _agrees(model: Any, forward: Callable[..., dict[str, torch.Tensor]]) -> bool:
    """Whether the loss by blocks is the model's own, tried on a few ids."""
    if model.base_model is model or model.get_output_embeddings() is None:
        return False
    ids = torch.arange(8, device=model.device)[None] % limits.vocabulary(model)
    with torch.no_grad():
        own, found = (run(input_ids=ids, labels=ids)["loss"] for run in (model, forward))
    return torch.allclose(found, own, rtol=1e-4)
