"""What opens a training sequence must open a scored text as well."""

from pathlib import Path

import numpy as np

from lib.base import hdf5, places
from lib.base.errors import TesseraError


def check_training(target: Path, first: np.ndarray) -> None:
    """Refuse a BOS policy that is not the one the target was fine-tuned with, where the stage finetune has recorded
    it."""
    recorded = hdf5.attributes(target / places.METRICS) if (target / places.METRICS).is_file() else {}
    trained = recorded.get("bos")
    if trained is not None and trained != (first[0] if len(first) else -1):
        raise TesseraError(f"{target}: trained with BOS {trained} (-1: none), but bos_policy asks for {first.tolist()}")
