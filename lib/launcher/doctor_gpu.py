"""What `doctor` says of GPUs: driver, torch's build and architectures, kernels, and the image that tasks run in.

torch is asked in a process of its own, by what a stage asks it (lib/base/gpus.py).
"""

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from lib.base import gpus as seen_by_torch
from lib.base import places
from lib.base.errors import TesseraError, UsageError
from lib.launcher.finding import Finding
from lib.plans.plan import Plan
from lib.running import batch, environment, gpus
from lib.running import container as images
from lib.running.site import Cluster

KERNELS = ("mamba_ssm", "causal_conv1d")
TRITON = "triton"
# The first NVIDIA driver for each CUDA ("CUDA Toolkit and Corresponding Driver Versions", minor version compatibility).
DRIVERS = {"11": 450, "12": 525, "13": 580}
NEWER_DRIVER = "ask the site's support for a newer driver, or for nodes that have one"
ANSWER_SECONDS = 300.0  # an import of torch from a shared file system may take a minute


def of_sweep(plan: Plan | None, site: Cluster | None) -> Iterator[Finding]:
    """GPUs of this machine. Those of a cluster's nodes cannot be seen from its login node."""
    needed = plan is not None and any(task.resources.gpus for task in plan.tasks.values())
    found = look()
    if needed and not found["cuda"] and not (site and site.container):
        what = f"torch {found['torch']} is a CPU build, but tasks need GPUs"
        yield Finding("fail", what, "TORCH=cuda make env")
    drivers = gpus.drivers()
    if not drivers and not found["devices"]:
        yield _none(needed, site)
        return
    yield from _driver(drivers, found)
    yield from _cards(found)
    yield from _kernels(found["packages"])
    if plan and site is None:
        yield from _enough(plan)


def look() -> dict[str, Any]:
    """What torch sees here. Raises TesseraError if it cannot be imported."""
    line = [sys.executable, "-m", seen_by_torch.__name__, *KERNELS, TRITON]
    answer = environment.answer(line, ANSWER_SECONDS, cwd=places.ROOT)
    lines = answer.stdout.splitlines()[-1:]  # a package may print while it is imported
    with contextlib.suppress(ValueError):  # what it printed last is no JSON: it is shown below
        if answer.returncode == 0 and lines:
            return json.loads(lines[0])
    said = (answer.stderr.strip().splitlines() or lines or ["no message"])[-1]
    raise TesseraError(f"torch cannot be asked for GPUs: {said}")


def _none(needed: bool, site: Cluster | None) -> Finding:
    if needed and site is None:
        return Finding("fail", "GPU: none here, but tasks need one", "use PROFILE=laptop, or a cluster")
    if site is None or not needed:
        return Finding("ok", "GPU: none here")
    there = batch.interactive(site, [sys.executable, "-m", seen_by_torch.__name__], gpu=True)
    what = (
        f"GPU: none here; this is not a GPU node. Each GPU task's log begins with what it sees; to see it now: {there}"
    )
    return Finding("ok", what)


def _enough(plan: Plan) -> Iterator[Finding]:
    """Whether each task of a run on this machine has as many GPUs as it asks for."""
    try:
        gpus.check(plan.tasks.values())
    except UsageError as error:
        yield Finding("fail", str(error), "lower `gpus` of the node (SET=nodes.<node>.resources.gpus=1)")


def _driver(drivers: tuple[str, ...], found: dict[str, Any]) -> Iterator[Finding]:
    """Whether the driver is new enough for the CUDA that torch was built with."""
    if not drivers:
        yield Finding("warn", f"{gpus.SMI} does not answer, so the driver is not known", NEWER_DRIVER)
        return
    least = DRIVERS.get((found["cuda"] or "").partition(".")[0])
    what = f"NVIDIA driver {drivers[0]}, {seen_by_torch.built(found)}"
    if least and int(drivers[0].partition(".")[0]) < least:
        yield Finding("fail", f"{what}: it needs driver {least} or newer", NEWER_DRIVER)
    else:
        yield Finding("ok", what)


def _cards(found: dict[str, Any]) -> Iterator[Finding]:
    """Whether torch sees GPUs, and was compiled for them."""
    if not found["devices"]:
        yield Finding("fail", f"torch sees no GPU: {found['trouble']}", "mend this first: tasks with GPUs would end so")
    for card in {json.dumps(card): card for card in found["devices"]}.values():
        count = found["devices"].count(card)
        good = runs(tuple(card["capability"]), found["architectures"])
        what = f"GPU: {count} x {card['name']}" + (
            "" if good else f", for which {seen_by_torch.built(found)} has no code"
        )
        remedy = f"it was compiled for {', '.join(found['architectures'])}; use other GPUs (`constraint`, `gres`)"
        yield Finding("ok" if good else "fail", what, remedy)


def runs(capability: tuple[int, ...], architectures: list[str]) -> bool:
    """Whether code for these architectures runs on a GPU of this compute capability.

    sm_XY runs on X.Y and later minor versions, compute_XY (PTX, compiled when it is loaded) on everything later, and
    what ends in a letter (sm_90a) on that version alone. gfx... of ROCm is not judged.
    """
    for name in architectures:
        if not (found := re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name)):
            return True
        kind, version = found[1], (int(found[2]), int(found[3]))
        if version == capability or (not found[4] and kind == "compute" and version < capability):
            return True
        if kind == "sm" and not found[4] and version[0] == capability[0] and version < capability:
            return True
    return False


def _kernels(packages: dict[str, str]) -> Iterator[Finding]:
    """Whether kernels can be imported: a package that was compiled for another torch is found, and fails."""
    if packages[TRITON]:
        yield Finding(
            "warn", f"triton cannot be imported ({packages[TRITON]})", "TORCH=cuda make env: it comes with torch"
        )
    broken = {name: error for name, error in packages.items() if error and name in KERNELS}
    compiled_wrongly = {name: error for name, error in broken.items() if not error.startswith("ModuleNotFoundError")}
    for name, error in compiled_wrongly.items():
        yield Finding("warn", f"{name} is installed, but cannot be imported: {error}", f"pip uninstall {name}")
    if not broken:
        yield Finding("ok", f"Mamba's compiled kernels: {', '.join(KERNELS)}")
    elif not compiled_wrongly:
        yield Finding("ok", f"Mamba's compiled kernels are not installed ({', '.join(broken)})")


def container(site: Cluster | None) -> Iterator[Finding]:
    """Whether the image that tasks run in is there, and holds what this code pins."""
    if site is None or (image := site.container) is None:
        return
    if shutil.which(image.program) is None:
        remedy = "load its module, also in `setup` of the cluster file, or ask the site's support"
        yield Finding("fail", f"container: {image.program} is not found", remedy)
    elif missing := images.missing(image):
        yield Finding("fail", missing, f"make image IMAGE={image.image}")
    else:
        yield _pinned(image)


def _pinned(image: images.Container) -> Finding:
    line = images.command(image, ["cat", images.STAMP])
    answer = environment.answer(line, ANSWER_SECONDS)
    if answer.returncode != 0:
        said = " ".join(answer.stderr.split())
        return Finding("fail", f"container: {image.image} cannot be used: {said}", "make image, with env/apptainer")
    same = answer.stdout.split()[:1] == [images.pins()]
    what = f"container: {image.image} holds {'the' if same else 'other packages than the'} pinned requirements"
    return Finding("ok" if same else "fail", what, f"make image IMAGE={image.image}")
