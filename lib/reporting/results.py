"""What all studies write of their results: tables, figures, and what describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lib.reporting import frames
from lib.studies.mosaic.published import Key, Reference
from lib.studies.mosaic.words import CORRECTED


@dataclass(frozen=True)
class Description:
    """What a report says beside the numbers.

    settings: exact settings that results depend on (shown with the methods). warnings: those of the caller, such as
    missing tasks. published: the published curve of each (model, kind, setting) that has one.
    """

    title: str
    summary: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    variant: str = CORRECTED
    estimator: str = "isotonic"
    published: Mapping[Key, Reference] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, and what the report says of it."""

    name: str
    title: str
    caption: str
    figure: Figure


def write_table(stem: Path, table: pd.DataFrame) -> None:
    """Write `<stem>.csv` and `<stem>.h5`; missing folders are made."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    frames.write_csv(stem.with_suffix(".csv"), table)
    frames.write_hdf5(stem.with_suffix(".h5"), table)
