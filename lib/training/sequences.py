"""Cuts documents into the sequences that a causal language model is trained on, and puts these in batches.

Pure functions on arrays of token ids. The policy: each document stands alone, begins with one BOS if the tokenizer has
one, and is cut every `context` tokens. Documents are never packed together, so which copies of a canary survive the
cut depends on their own document only. The last sequence of a document is short. It is padded on the right, where a
causal model cannot see the padding, and only real tokens are labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError
from lib.base.ragged import Ids
from lib.base.seeds import generator

IGNORED = -100  # the label id that cross entropy leaves out
EMPTY = -1  # a row of a batch that holds no sequence
BLOCK_VALUES = 1 << 26  # logits that are there at once in a training, 0.27 GB; more are computed by blocks


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. `batch_size` is the number of sequences of one step over all ranks together.

    The execution fields only say how the work is done (their results agree up to the rounding of sums):
    sequences a forward pass, ZeRO stage, recomputed activations (`auto`: the caller chooses, by the memory of the GPU),
    cadence of checkpoints by steps and by minutes (0: none), reports.
    """

    seed: int
    learning_rate: float
    context: int
    batch_size: int
    epochs: int = 1
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    evaluations: int = 4
    evaluate_every: int = added(0)
    unlabelled: Literal["padding", "eos"] = added("padding")
    micro_batch: int = execution(4)
    deepspeed: str = execution("zero1")
    gradient_checkpointing: bool | Literal["auto"] = execution(False)
    checkpoint_steps: int = execution(0)
    checkpoint_minutes: float = execution(0.0)
    report_to: Literal["none", "tensorboard", "wandb"] = execution("none")

    def __post_init__(self) -> None:
        """Raise ValueError naming the first field that is out of range."""
        at_least(1, batch_size=self.batch_size, epochs=self.epochs, micro_batch=self.micro_batch)
        at_least(0, seed=self.seed, checkpoint_steps=self.checkpoint_steps, checkpoint_minutes=self.checkpoint_minutes)
        at_least(0, evaluations=self.evaluations, evaluate_every=self.evaluate_every)
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")
        for name in ("weight_decay", "max_grad_norm"):
            if not getattr(self, name) >= 0:  # which is so of NaN as well
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if not 0 <= self.warmup_ratio < 1:
            raise ValueError(f"warmup_ratio is {self.warmup_ratio}; it must be at least 0 and below 1")


def sequences(documents: Sequence[Ids], context: int, bos: int | None) -> list[np.ndarray]:
    """Cut documents into training sequences of at most `context` tokens.

    documents: token ids of each document, without BOS; bos: the id to prepend to each document, or None.
    Returns int64 arrays of 2 to `context` ids, documents in order. A last piece of a single token has nothing
    to predict and is left out. Raises TesseraError naming the document that is too short for one sequence.
    """
    if context < 2:
        raise TesseraError(f"context is {context}; a training sequence needs at least 2 tokens")
    if not documents:
        raise TesseraError("no documents to train on; give at least one")
    cut: list[np.ndarray] = []
    for row, document in enumerate(documents):
        ids = with_bos(document, bos)
        if len(ids) < 2:
            raise TesseraError(f"document {row} has {len(document)} tokens, too few to train on; leave it out")
        cut += [ids[start : start + context] for start in range(0, len(ids) - 1, context)]
    return cut


def with_bos(ids: Ids, bos: int | None) -> np.ndarray:
    """`ids` as int64, after `bos` when there is one."""
    head = [] if bos is None else [bos]
    return np.concatenate([np.asarray(head, dtype=np.int64), np.asarray(ids, dtype=np.int64)])


def survives_cut(starts: np.ndarray, length: int, context: int, bos: int | None) -> np.ndarray:
    """Whether spans of `length` document tokens stay whole in one training sequence.

    starts: first token of each span, counted in its document without BOS. Returns a bool array like `starts`.
    """
    first = np.asarray(starts, dtype=np.int64) + (bos is not None)
    return first // context == (first + length - 1) // context


def data_order(n_sequences: int, batch_size: int, epochs: int, seed: int) -> np.ndarray:
    """Which sequence stands in which row of which global batch: int64, steps x batch_size.

    Each epoch is a permutation of its own, drawn from (seed, epoch). The last batch of an epoch is filled up
    with EMPTY rows, so that every sequence is seen once an epoch whatever the batch size or the rank count.
    """
    steps = -(-n_sequences // batch_size)
    order = np.full((epochs, steps * batch_size), EMPTY, dtype=np.int64)
    for epoch in range(epochs):
        order[epoch, :n_sequences] = generator(seed, "data order", epoch).permutation(n_sequences)
    return order.reshape(epochs * steps, batch_size)


def batch(rows: Sequence[np.ndarray], pad: int, unlabelled: int | None = None) -> dict[str, np.ndarray]:
    """Rows of ids padded on the right: `input_ids` and `labels`, int64, rows x longest.

    Labels are masked by length: an id that equals `pad` inside a row stays a label. An empty row is all padding.
    unlabelled: an id that is no label anywhere.
    """
    lengths = np.array([len(row) for row in rows])
    width = max(2, int(lengths.max(initial=0)))  # one position to predict, even where every row is empty
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    for target, row in zip(ids, rows):
        target[: len(row)] = row
    real = np.arange(width) < lengths[:, None]
    labelled = real if unlabelled is None else real & (ids != unlabelled)
    return {"input_ids": ids, "labels": np.where(labelled, ids, IGNORED)}


def accumulation(batch_size: int, micro_batch: int, ranks: int) -> tuple[int, int]:
    """(rows a forward pass, passes a step) of each rank, so that `batch_size` rows make one step.

    The rows are the largest divisor of the rank's share that is no more than `micro_batch`.
    Raises TesseraError when the ranks cannot share the batch equally.
    """
    if min(batch_size, micro_batch, ranks) < 1 or batch_size % ranks:
        raise TesseraError(
            f"batch_size {batch_size} (micro_batch {micro_batch}) cannot be shared by {ranks} ranks; "
            "make batch_size a multiple of the number of ranks"
        )
    share = batch_size // ranks
    rows = next(rows for rows in range(min(micro_batch, share), 0, -1) if share % rows == 0)
    return rows, share // rows


def evaluation_steps(total: int, evaluations: int, every: int = 0) -> list[int]:
    """The steps after which the model is evaluated: 0, the last, and the rest evenly between.

    evaluations: how many besides the one at step 0; fewer come back when there are fewer steps. every: if above 0, the
    steps between two evaluations, whatever `evaluations` is.
    """
    if every:
        return [*range(0, total, every), total]
    return sorted({0, *(round(total * (i + 1) / evaluations) for i in range(evaluations))})


def learning_rate_scale(step: int, total: int, warmup: int, schedule: str) -> float:
    """The factor on the peak learning rate at `step` (0-based) of `total`.

    Linear warm-up (step + 1)/warmup, so that no step is spent at rate 0; then `constant`, `linear` to 0 or
    `cosine` to 0 over the rest.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, total - warmup)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + float(np.cos(np.pi * done)))
