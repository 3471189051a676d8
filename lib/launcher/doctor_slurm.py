"""What `doctor` says of SLURM: its commands, what the cluster file names, and the lines at the head of every job."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lib.base import places
from lib.base.errors import TesseraError
from lib.launcher.finding import Finding
from lib.plans.plan import Plan
from lib.plans.resources import Resources
from lib.running import batch, environment, refusals, slurm, submit
from lib.running import site as clusters
from lib.running.site import Cluster

CONTROLLER = "a controller"
SETUP_SECONDS = 120.0  # loading modules from a shared file system may take a while


def _srun(site: Cluster) -> Iterator[Finding]:
    if shutil.which("srun"):
        try:
            known = slurm.mpi_types()
        except TesseraError as error:
            yield Finding("fail", f"srun --mpi=list: {error}", "log in to a node where SLURM's commands work")
            return
        remedy = f"set `mpi:` in the cluster file to one of `srun --mpi=list`: {' '.join(known)}"
        yield Finding("ok" if site.mpi in known else "fail", f"srun --mpi={site.mpi}", remedy)


def of_sweep(plan: Plan | None, site: Cluster) -> Iterator[Finding]:
    """What tasks of this plan, or of any, need of the cluster."""
    for command in ("sbatch", "squeue", "scancel"):
        found = shutil.which(command)
        remedy = "log in to a login node, or use CLUSTER=local"
        yield Finding("ok" if found else "fail", f"{command}: {found or 'not found'}", remedy)
    checks = {
        "squeue answers": slurm.queue,
        "MaxArraySize": lambda: slurm.max_array_size(site),
    }
    for what, check in checks.items():
        try:
            answer = check()
            yield Finding("ok", f"{what}: {answer}" if isinstance(answer, int) else what)
        except TesseraError as error:
            remedy = "ask the site's support; until SLURM answers, nothing is submitted again"
            yield Finding("fail", f"{what}: {error}", remedy)
    yield _accounting(site)
    yield from _srun(site)
    yield from _partitions(plan, site)
    yield from _associations(plan, site)
    yield from _setup(site)
    yield from _tried(plan, site)


def _accounting(site: Cluster) -> Finding:
    try:
        slurm.history([], [places.job("doctor", "doctor", 0)])
        return Finding("ok", "sacct answers")
    except TesseraError as error:
        remedy = (
            "nothing: squeue and the tasks' own records are used; a task that ends without a record is taken for lost "
            f"after {site.silence_seconds:g} s (silence_seconds)"
        )
        return Finding("warn", f"no accounting: {error}", remedy)


def _partitions(plan: Plan | None, site: Cluster) -> Iterator[Finding]:
    try:
        known = slurm.partitions()
    except TesseraError as error:
        yield Finding(
            "warn", f"partitions cannot be listed: {error}", "nothing, if the cluster file names the right ones"
        )
        return
    for name, keys in _named(plan, site, "partition", "gpu_partition", "network_partition").items():
        remedy = f"set {keys} in {clusters.where(site)} to one of: {', '.join(known)}"
        yield Finding("ok" if name in known else "fail", f"partition {name}", remedy)


def _named(plan: Plan | None, site: Cluster, *keys: str) -> dict[str, str]:
    """What these keys of the cluster file name, in their order -> the keys. Those are left out that no task needs."""
    asked = [task.resources for task in plan.tasks.values()] if plan else []
    unused = {
        "gpu_": bool(plan) and not any(one.gpus for one in asked),
        "network_": bool(plan) and not any(one.network for one in asked),
    }
    found: dict[str, str] = {}
    for key in keys:
        name = getattr(site, key)
        if name and not any(skip and key.startswith(kind) for kind, skip in unused.items()):
            found[name] = f"{found[name]}, {key}" if name in found else key
    return found


def _associations(plan: Plan | None, site: Cluster) -> Iterator[Finding]:
    """Whether the accounting knows the user's accounts and QOS. Where it is not enforced, jobs run without."""
    accounts, qos = _named(plan, site, "account", "gpu_account"), _named(plan, site, "qos")
    if not accounts:
        yield Finding("ok", "account: the site's default")
    if not (accounts or qos):
        return
    try:
        mine, enforced = slurm.associations(), slurm.enforces_associations()
    except TesseraError as error:
        yield Finding("warn", f"account and qos cannot be checked: {error}", "nothing, if they are right")
        return
    level, file = "fail" if enforced else "warn", clusters.where(site)
    for what, names, known in (("account", accounts, mine.accounts), ("qos", qos, mine.qos)):
        for name, keys in names.items():
            remedy = f"set {keys} in {file} to one of: {', '.join(known) or '(the accounting knows none of yours)'}"
            yield Finding("ok" if name.lower() in known else level, f"{what} {name}", remedy)


def _setup(site: Cluster) -> Iterator[Finding]:
    """Whether the lines at the head of every job work in a shell of this machine."""
    if not site.setup:
        return
    code, said = _in_a_shell(batch.guarded(site.setup))
    failed = [line for line in said if line.startswith(batch.SETUP_MARK)]
    what = "setup lines, run on this machine"
    remedy = f"mend `setup` in {clusters.where(site)}; a job ends at a line that ends with 126 or 127, or exits"
    if code:
        yield Finding("fail", f"{what}: {'; '.join(said[-2:]) or f'they end with {code}'}", remedy)
    elif failed:
        yield Finding("warn", f"{what}: {'; '.join(failed)}", f"nothing, or {remedy}")
    else:
        yield Finding("ok", what)


def _in_a_shell(lines: list[str]) -> tuple[int, list[str]]:
    """Exit code and errors of shell lines."""
    answer = environment.answer(["bash", "-c", "\n".join(lines)], SETUP_SECONDS)
    return answer.returncode, [line for line in answer.stderr.splitlines() if line.strip()]


def _tried(plan: Plan | None, site: Cluster) -> Iterator[Finding]:
    """Whether sbatch takes a job of each kind, with all options of the cluster file. It submits none."""
    if not shutil.which("sbatch"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind, resources in {**_largest(plan, site), CONTROLLER: submit.controller_resources(site)}.items():
            yield _one_tried(kind, resources, site, Path(folder))


def _one_tried(kind: str, resources: Resources, site: Cluster, folder: Path) -> Finding:
    asked = batch.parameters(site, resources, "doctor", str(places.ROOT), 1, ["1"] if kind == CONTROLLER else ())
    asked.pop("dependency", None)  # on a job that is not there
    try:
        said = batch.tried(folder / "doctor.sh", kind, batch.of_command(["true"], folder, asked))
    except batch.Refused as error:
        level = "warn" if isinstance(error, batch.LimitReached) else "fail"
        return Finding(level, str(error), refusals.remedy(str(error), site))
    except batch.Unanswered as error:
        return Finding("warn", str(error), "type the command again when SLURM answers")
    return Finding("ok", f"sbatch would take {kind}: {said}")


def _largest(plan: Plan | None, site: Cluster) -> dict[str, Resources]:
    """Kind of task -> what the largest of the plan's tasks asks for; without a plan, what a small one would."""
    if plan is None:
        hours = min(1.0, site.max_hours or 1.0)
        has_gpus = site.gpus_per_node or site.gpu_partition or site.gres
        asked: Iterable[Resources] = [Resources(hours=hours), Resources(hours=hours, ranks=2, mpi=True)]
        asked = [*asked, *([Resources(hours=hours, gpus=1)] if has_gpus else [])]
    else:
        asked = [task.resources for task in plan.tasks.values() if not clusters.on_login_node(task.resources, site)]
    found: dict[str, Resources] = {}
    for one in asked:
        kind = _kind(one)
        found[kind] = max(found.get(kind, one), one, key=_size)
    return found


def _kind(asked: Resources) -> str:
    if asked.network:
        return "a task with a network"
    return "a task with a GPU" if asked.gpus else "an MPI task" if asked.mpi else "a task"


def _size(asked: Resources) -> tuple[float, ...]:
    return asked.gpus, asked.cores, asked.memory_gb or 0.0, asked.hours
