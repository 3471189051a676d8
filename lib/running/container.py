"""Tasks in a container: every stage runs in an Apptainer image, while launcher, controllers and runners stay outside.

They call SLURM, which an image does not have. A runner starts `apptainer exec IMAGE python -m jobs ...`, and the code
is that of the snapshot, as without a container: the image holds Python and the pinned packages only.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.base import places
from lib.base.errors import TesseraError
from lib.plans.resources import Resources

VARIABLE = "TESSERA_CONTAINER"  # set in a job's set-up lines: the container of the cluster file, as JSON
PROGRAMS = ("apptainer", "singularity")
ENVIRONMENT = Path("/opt/tessera/.venv")  # in the image; env/apptainer/tessera.def makes it
PYTHON = str(ENVIRONMENT / "bin" / "python")
STAMP = str(ENVIRONMENT / ".requirements")  # the digest of the pins that it was made from; env/make_env writes it
PINS = ("requirements.txt", "constraints.txt", "weights.txt")
FOLDERS = ("HF_HOME", "HF_HUB_CACHE", "TMPDIR")  # variables that name folders which stages use


@dataclass(frozen=True)
class Container:
    """The image that tasks run in.

    binds: folders that they see beside the outputs, the hub's cache and what Apptainer shows by itself (home, /tmp);
    nv: whether tasks with a GPU see NVIDIA's driver; program: apptainer or singularity
    """

    image: str
    binds: tuple[str, ...] = ()
    nv: bool = True
    program: str = PROGRAMS[0]

    def __post_init__(self) -> None:
        """Raise ValueError naming a key whose value cannot be meant."""
        if not self.image.startswith("/"):
            raise ValueError(f"image is {self.image!r}; it must be a path from / on, the same on all nodes")
        for bind in self.binds:
            if not bind.startswith("/") or "," in bind:
                raise ValueError(f"binds: {bind!r} must be /SOURCE or /SOURCE:/TARGET, one folder an entry")
        if self.program not in PROGRAMS:
            raise ValueError(f"program is {self.program!r}; it must be {' or '.join(PROGRAMS)}")

    def as_variable(self) -> str:
        """The value of VARIABLE, from which a runner makes it again."""
        return json.dumps(asdict(self))


def missing(container: Container) -> str:
    """In words: that there is no image; empty if there is one."""
    return "" if Path(container.image).exists() else f"container: there is no {container.image}"


def of_job() -> Container | None:
    """The container of the job that this process belongs to, if there is one."""
    if not (text := os.environ.get(VARIABLE)):
        return None
    values = json.loads(text)
    return Container(**{**values, "binds": tuple(values["binds"])})


def entrance(container: Container | None, resources: Resources, root: Path) -> list[str]:
    """The words before a command that run it in the container; none without one. root: the folder of all outputs.

    Raises TesseraError for a folder that cannot be shown in it under the same name.
    """
    if container is None:
        return []
    given = (os.environ.get(name, "") for name in FOLDERS)
    folders = [str(root), *(folder for folder in given if os.path.isdir(folder))]
    binds = [*map(_bound, dict.fromkeys(folders)), *container.binds]
    driver = ["--nv"] if container.nv and resources.gpus else []
    return [container.program, "exec", *driver, *(f"--bind={bind}" for bind in binds), container.image]


def _bound(folder: str) -> str:
    if "," in folder or ":" in folder:
        raise TesseraError(f"{folder}: Apptainer cannot show a folder with a comma or a colon in its name; rename it")
    return folder


def command(container: Container, line: Sequence[str]) -> list[str]:
    """A command in the container, without anything that a task needs."""
    return [container.program, "exec", container.image, *line]


def pins() -> str:
    """The digest of the pinned requirements of this code, as env/make_env computes it."""
    return hashlib.sha256(b"".join((places.ROOT / "env" / name).read_bytes() for name in PINS)).hexdigest()
