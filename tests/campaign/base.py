"""What trials are copied from, made once: undisturbed runs, their tables, and how many file operations they do."""

import functools
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lib.base import places
from lib.costs import devices
from lib.plans import documents, expansion, finished
from lib.running import snapshot
from tests.campaign import shim
from tests.support import toys

DATA_SWEEPS = ("near_dupls", "slimpajama", "prefix_sizes")
NUMBERS = "--set=numbers=[1,2]"
TOY_FLAGS = ("--profile=laptop", NUMBERS)

# For how long a command waits for what does not come, and for how long in a trial.
WAITS = {
    "running/slurm.py": {"ANSWER_SECONDS": (60.0, 4.0)},
    "running/job.py": {"PATIENCE_SECONDS": (60.0, 6.0)},
    "base/lease.py": {"RENEW_SECONDS": (15.0, 2.0), "DEAD_SECONDS": (120.0, 12.0)},
}


@dataclass(eq=False)
class Base:
    """One finished run. counts: file operations of an undisturbed run, by role. shim: None without a compiler."""

    folder: Path
    outputs: Path
    shim: Path | None
    counts: dict[str, int] = field(default_factory=dict)

    @functools.cached_property
    def readers(self) -> dict[str, set[str]]:
        """The name of an artifact's folder -> those of the artifacts that read it, by their task.json."""
        found: dict[str, set[str]] = {}
        for file in self.outputs.glob(f"store/*/*/{places.TASK}"):
            for given in json.loads(file.read_bytes())["inputs"].values():
                for path in given if isinstance(given, list) else [given]:
                    found.setdefault(Path(path).name, set()).add(file.parent.name)
        return found

    def tables(self, run: str) -> dict[str, bytes]:
        """The tables of the undisturbed run."""
        return tables(self.outputs, run)

    @functools.cache  # noqa: B019
    def parts(self, sweep: str) -> set[str]:
        """The names of the folders of a real sweep's artifacts in the profile `smoke`."""
        plan = expansion.expand(documents.read(sweep, "smoke", []), "smoke", {}, devices.find(None, "smoke"), math.inf)
        return {finished.directory(self.outputs, task).name for task in plan.tasks.values()}

    @functools.cache  # noqa: B019
    def seconds(self, name: str) -> float:
        """How long the stage of an artifact took."""
        (file,) = self.outputs.glob(f"store/*/{name}/attempts/0001.json")
        return json.loads(file.read_bytes())["seconds"]


def tables(outputs: Path, run: str) -> dict[str, bytes]:
    """Name -> bytes of every table of a run; what a killed process was writing is hidden, and no table."""
    return {file.name: file.read_bytes() for file in sorted(places.tables(outputs, run).glob("[!.]*"))}


@functools.cache
def code() -> str:
    """Changes with the code that is tried and with that of the campaign."""
    where = [places.ROOT / part for part in (*snapshot.PARTS, "tests/campaign", "tests/support")]
    files = [file for place in where for file in (place.rglob("*") if place.is_dir() else [place])]
    hasher = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts):
        hasher.update(f"{file.relative_to(places.ROOT)}\n".encode() + file.read_bytes())
    return hasher.hexdigest()[:12]


def room(folder: Path) -> Path:
    """The folder of what trials of this code are copied from; that of other code is removed."""
    for other in folder.glob("*"):
        if other.name != code():
            shutil.rmtree(other)
    (folder / code()).mkdir(parents=True, exist_ok=True)
    return folder / code()


def toy(folder: Path, layer: str) -> Base:
    """A toy checkout whose sweep has run, on this machine or on the fake SLURM; it is made if it is not there."""
    place, made = folder / layer, shim.library(folder)
    if not (place / "counts.json").exists():
        shutil.rmtree(place, ignore_errors=True)
        _make_toy(place, layer, made)
    return Base(place, place / "checkout" / "outputs", made, json.loads((place / "counts.json").read_text()))


def _make_toy(place: Path, layer: str, made: Path | None) -> None:
    checkout = toys.make(place / "checkout")
    for file, waits in WAITS.items():
        for name, (usual, short) in waits.items():
            toys.edit(checkout.root / "lib" / file, f"{name} = {usual}", f"{name} = {short}")
    counts = shim.counting(made, place / "counts", checkout.outputs) if made else {}
    checkout.environment |= counts
    if layer == "slurm":
        from tests.campaign.scenes import fake_site

        checkout.environment |= fake_site(place / "site")
        checkout.submit(NUMBERS)
        checkout.finish()
        toys.wait_for(lambda: not _living(place), "the end of the controller")
    else:
        checkout.submit("--cluster=local", NUMBERS)
    counted = shim.read(place / "counts") if made else {}
    (place / "counts.json").write_text(json.dumps(dict(counted)))


def _living(place: Path) -> bool:
    from tests.campaign import processes

    return bool(processes.of(place))


def data(folder: Path, ready: Path | None) -> Base:
    """The three sweeps in the profile `smoke`. ready: a folder of outputs that has them already, or some of them."""
    made, place = shim.library(folder), folder / "data"
    if not (place / "ready").exists():
        shutil.rmtree(place, ignore_errors=True)
        if ready:
            for name in ("store", "snapshots"):
                shutil.copytree(ready / name, place / "outputs" / name)
        for sweep in DATA_SWEEPS:
            _launch(place / "outputs", sweep)
        (place / "ready").touch()
    return Base(place, place / "outputs", made)


def _launch(outputs: Path, sweep: str) -> None:
    line = [sys.executable, "launch.py", "submit", sweep, "--profile=smoke", "--cluster=local", f"--outputs={outputs}"]
    done = subprocess.run(
        line, cwd=places.ROOT, env=os.environ, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise RuntimeError(f"the undisturbed {sweep} failed:\n{done.stdout}{done.stderr}")
