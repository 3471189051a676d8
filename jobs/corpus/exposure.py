"""Count the near-duplicates of targets as exact copies, each by the rho of its distance.

    python -m jobs exposure --config FILE --out DIR

FILE holds:

    inputs: {near_duplicates: near_duplicates.h5}
    rho: published          # or a table of a sweep, such as outputs/sweeps/near_dupls/tables/rho.csv

Result exposure.h5, one row a target: `exact` (its exact copies), `near` (its near-duplicates at distance 1 and above),
`exposure` (both together: an exact copy counts 1, a near-duplicate rho of its distance), and `low`, `high`: the same
with the ends of the 95 % interval of rho, NaN where the table has none. Attributes: `levels`, `rho` and `source`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError
from lib.statistics import exposure

VERSION = 1
INPUTS = ("near_duplicates",)
SLUG = ("metric",)
PUBLISHED = "published"


@dataclass(frozen=True)
class Config:
    """What a near-duplicate counts as.

    rho: `published`, or a table of a sweep: its rho.csv (rho by the tokens that were to be changed) or distances.csv
        (by the distance that was measured); a path begins at the checkout
    model: whose rho; a table of one model without a column `model` takes any name
    attack: the attack behind rho
    kind: the kind of fuzzy duplicate behind rho
    rho_length: tokens of the canaries behind rho; a distance counts as a share of them
    metric: the distance of near-duplicates
    levels: the shares at which rho was measured; a sweep fills them in when it plans, so that another rho is another
        task; leave out by hand
    values: rho at the levels; filled in likewise
    low: the lower ends of its 95 % intervals, nothing where they are not known; filled in likewise
    high: the upper ends; filled in likewise
    """

    rho: str = PUBLISHED
    model: str = "gptneo1B"
    attack: str = "ratio"
    kind: str = "replace"
    rho_length: int = 100
    metric: Literal["levenshtein", "hamming"] = "levenshtein"
    levels: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for canaries without tokens, and for levels that do not fit rho."""
        at_least(1, rho_length=self.rho_length)
        if self.levels or self.values:
            exposure.weights((), self.levels, self.values)


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with the rho that its table holds now."""
    from lib.statistics import worth

    table = places.PUBLISHED_RHO if config.rho == PUBLISHED else places.ROOT / Path(config.rho).expanduser()
    found = worth.read(table, config.model, config.attack, config.kind, config.rho_length)
    known = not np.isnan(found.low + found.high).any()
    low, high = (found.low, found.high) if known else ((), ())
    return replace(config, levels=found.levels, values=found.rho, low=low, high=high)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Read the near-duplicates, add up what they count as, write. Raises TesseraError naming a file that is not one."""
    path = store.find(inputs["near_duplicates"], places.NEAR_DUPLICATES)
    config = config if config.levels else pin(config)
    about = hdf5.attributes(path)
    target, distance = (hdf5.read(path, f"{config.metric}/{name}").astype(np.int64) for name in ("target", "distance"))
    n_targets, length = (int(about[name]) for name in ("n_targets", "length"))
    if target.max(initial=-1) >= n_targets:
        raise TesseraError(f"{path}: target {target.max()} of {n_targets}; make the near-duplicates again")
    columns = _columns(config, target, distance, n_targets, length)
    with hdf5.create(out / places.EXPOSURE) as file:
        file.attrs.update(source=config.rho, levels=np.array(config.levels), rho=np.array(config.values))
        for name, values in columns.items():
            hdf5.write(file, name, values)
    exact, both = columns["exact"].sum(), columns["exposure"].sum()
    print(f"exposure: {exact} exact copies of {n_targets} targets, {both:.4g} with what their near-duplicates count as")


def _columns(config: Config, target: NDArray, distance: NDArray, n_targets: int, length: int) -> dict[str, NDArray]:
    exact, share = distance == 0, np.minimum(distance / length, 1)

    def total(rho: tuple[float, ...]) -> NDArray[np.float64]:
        known = len(rho) == len(config.levels)
        return (
            exposure.of_targets(target, share, n_targets, config.levels, rho) if known else np.full(n_targets, np.nan)
        )

    return {
        "exact": np.bincount(target[exact], minlength=n_targets),
        "near": np.bincount(target[~exact], minlength=n_targets),
        "exposure": total(config.values),
        "low": total(config.low),
        "high": total(config.high),
    }
