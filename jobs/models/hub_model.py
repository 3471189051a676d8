"""Point to a model in the local Hugging Face cache, and check that it can be read offline.

    python -m jobs hub_model --config FILE --out DIR

It has no inputs. FILE holds:

    repo: EleutherAI/pythia-160m
    revision: 50f5173d932e8e61f858120bcb800b97af589f46

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
    """Which model.

    repo: the repository, `owner/name`
    revision: the commit; a branch means what the cache holds of it
    """

    repo: str
    revision: str = "main"


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import HubItem

    return [HubItem("model", config.repo, config.revision)]


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Write the pointer, then follow it and check that configuration, tokenizer and weights are complete."""
    from lib.models import loading
    from lib.models.hub import local_snapshot

    commit = local_snapshot(hub(config)[0]).name  # the cache names a snapshot's folder by its commit
    store.write_json(out / places.HUB, {"repo": config.repo, "revision": commit})
    loading.check(out)
    print(f"hub_model: {config.repo} at {commit}")
