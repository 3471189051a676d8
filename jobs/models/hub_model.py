"""Point to a model in the local Hugging Face cache, and check that it can be read offline.

    python -m jobs hub_model --config FILE --out DIR

FILE holds:

    repo: EleutherAI/pythia-160m
    revision: 50f5173d932e8e61f858120bcb800b97af589f46
    inputs: {tokenizer: DIR}      # only for a repository without a tokenizer

Result hub.json: repository and commit. The weights stay in the cache, one copy for every sweep. A model that
transformers cannot read as it is (the format of `mamba-ssm`, pickled weights) is written anew beside hub.json.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.artifacts import store
from lib.base import places
from lib.base.config import added

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS: tuple[str, ...] = ()
OPTIONAL_INPUTS = ("tokenizer",)
SLUG = ("repo",)


@dataclass(frozen=True)
class Config:
    """Which model.

    repo: the repository, `owner/name`
    revision: the commit; a branch means what the cache holds of it
    trust_remote_code: whether Python code of the repository may run, for a model that transformers does not know. It
        can do whatever your account can: read it first, at the commit that is used
    pickled_weights: whether pytorch_model.bin may be read where the repository has no safetensors; tensors alone, any
        other object in it is refused
    """

    repo: str
    revision: str = "main"
    trust_remote_code: bool = added(False)
    pickled_weights: bool = added(False)

    def __post_init__(self) -> None:
        """Raise ValueError for a path in place of a repository."""
        if self.repo.startswith((".", "/", "~")) or self.repo.count("/") > 1:
            there = "" if Path(self.repo).expanduser().is_dir() else f", and there is no folder {self.repo}"
            raise ValueError(
                f"repo is {self.repo!r}; it must be owner/name, as the hub has it{there}. A model in a folder is for "
                "the stage folder_model (the audit: MODEL=<folder>)"
            )


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import CODE, MODEL_FILES, PICKLED, HubItem

    also = (*(CODE if config.trust_remote_code else ()), *(PICKLED if config.pickled_weights else ()))
    return [HubItem("model", config.repo, config.revision, (*MODEL_FILES, *also) if also else ())]


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Write the pointer, or the model anew, and check that configuration, tokenizer and weights are complete."""
    from lib.models import conversion, loading
    from lib.models.hub import verify

    item = hub(config)[0]
    folder = verify(item, loading.WITHOUT_WEIGHTS)
    changed = conversion.needed(folder, config.pickled_weights)
    changed += ["another tokenizer"] if "tokenizer" in inputs else []
    about: dict[str, Any] = {"repo": config.repo, "revision": folder.name}  # the cache names a snapshot by its commit
    about |= {"trust_remote_code": True} if config.trust_remote_code else {}
    about |= {"converted": changed} if changed else {}
    if config.trust_remote_code:
        print(f"hub_model: {config.repo}: code of the repository may run (trust_remote_code)", flush=True)
        loading.check_code(folder)
    if changed:
        conversion.convert(verify(item), out, config.pickled_weights, inputs.get("tokenizer"))
    store.write_json(out / places.HUB, about)
    loading.check(out)
    print(f"hub_model: {config.repo} at {folder.name}{'; written anew: ' + ', '.join(changed) if changed else ''}")
