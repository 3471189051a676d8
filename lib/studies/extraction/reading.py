"""The extraction study as its stages left it on disk, read into records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.studies import collect
from lib.studies.extraction.tables import SIDES, Extracted


def read(labels: Mapping[str, Any], extracted: Path, injected: Path, repeats: bool) -> Extracted:
    """The record of one fine-tuned model: extracted.h5, and the copies in injected.h5. Checks every checksum.

    repeats: whether it repeats the published study.
    """
    sides = collect.verified_columns(extracted, *SIDES)
    copies = collect.verified_columns(injected, "effective_copies")
    return Extracted(labels, sides, float(np.mean(copies["effective_copies"])), repeats)
