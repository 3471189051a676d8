"""A model of the Hugging Face hub: a pointer into the local hub cache, after a check that it reads offline.

python -m jobs hub_model --config FILE --out DIR
Result hub.json: repository and commit. The weights stay in the cache, one copy for every sweep.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.artifacts import store
from lib.base import places

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("repo",)


@dataclass(frozen=True)
class Config:
    """repo: `owner/name`; revision: a commit (a branch means what the cache holds of it)."""

    repo: str
    revision: str = "main"


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import HubItem

    return [HubItem("model", config.repo, config.revision)]


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Write the pointer, then check through it that configuration, tokenizer and weights are whole."""
    from lib.models import loading
    from lib.models.hub import local_snapshot

    commit = local_snapshot(hub(config)[0]).name  # the cache names a snapshot's folder by its commit
    store.write_json(out / places.HUB, {"repo": config.repo, "revision": commit})
    loading.check(out)
    print(f"hub_model: {config.repo} at {commit}")
