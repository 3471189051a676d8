"""Checks that texts are scored with the BOS that the model was trained with."""

from pathlib import Path

import numpy as np

from lib.base import hdf5, places
from lib.base.errors import TesseraError


def check_training(target: Path, first: np.ndarray) -> None:
    """Raise TesseraError unless texts begin as in the fine-tuning of `target`, if its metrics record that.

    A stage has a key `trained_bos: any` for who wants them to differ, as in the published experiment.

    first: the ids that begin every scored text, none or one.
    """
    recorded = hdf5.attributes(target / places.METRICS) if (target / places.METRICS).is_file() else {}
    trained = recorded.get("bos")
    if trained is not None and trained != (first[0] if len(first) else -1):
        raise TesseraError(
            f"{target}: trained with BOS {trained} (-1: none), but bos_policy gives {first.tolist()}; give the "
            "bos_policy of the training, or set trained_bos: any to score texts in another way than they were trained"
        )
