"""Cluster files (env/clusters/*.yaml), and whether the resources of a task fit."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.artifacts.attempts import is_secret
from lib.base import config, places, yamls
from lib.base.config import at_least
from lib.base.errors import UsageError, suggestion
from lib.plans.plan import Task
from lib.plans.resources import Excess, Resources
from lib.running import environment, sbatch_options
from lib.running.container import Container

FOLDER = places.CLUSTERS
SITE = "site"
COUNTS = (
    "array_parallelism",
    "max_array_size",
    "max_submit_jobs",
    "cpus_per_node",
    "ranks_per_node",
)
# What a task asks for -> the key of a cluster file that says how much of it there is.
LIMITS = {
    "cpus": "cpus_per_node",
    "memory_gb": "memory_gb_per_node",
    "gpus": "gpus_per_node",
    "hours": "max_hours",
}
AMOUNTS = ("max_hours", "memory_gb_per_node", "disk_quota_gb", "poll_seconds", "silence_seconds")


@dataclass(frozen=True)
class LoginNode:
    """How much of the login node the tasks that need the network may use there, all together."""

    cpus: int
    memory_gb: float


@dataclass(frozen=True)
class Cluster:
    """One cluster; env/README.md explains the keys. None leaves a choice to the site's default."""

    name: str
    partition: str | None = None
    gpu_partition: str | None = None
    account: str | None = None
    gpu_account: str | None = None
    wckey: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    sbatch: dict[str, str | int | bool] | None = None
    gpu_sbatch: dict[str, str | int | bool] | None = None
    mpi: str = "pmix"
    max_hours: float | None = None
    array_parallelism: int = 64
    max_array_size: int | None = None
    max_submit_jobs: int | None = None
    setup: tuple[str, ...] = ()
    env: dict[str, str] | None = None
    cpus_per_node: int | None = None
    ranks_per_node: int | None = None
    memory_gb_per_node: float | None = None
    gpus_per_node: int | None = None
    gpu: str | None = None
    disk_quota_gb: float | None = None
    poll_seconds: float = 30.0
    silence_seconds: float = 180.0
    bundle_minutes: float = 20.0
    network_partition: str | None = None
    login_node: LoginNode | None = None
    container: Container | None = None
    notify: tuple[str, ...] = ()
    file: str = ""  # no key: where it was read

    def __post_init__(self) -> None:
        """Raise ValueError naming a key whose value no cluster can have."""
        at_least(1, **{key: getattr(self, key) for key in COUNTS})
        at_least(0, gpus_per_node=self.gpus_per_node, bundle_minutes=self.bundle_minutes)
        for key in AMOUNTS:
            value = getattr(self, key)
            if value is not None and not value > 0:  # NaN fails as well
                raise ValueError(f"{key} is {value}; it must be more than 0")
        for key in (sbatch_options.FOR_ALL, sbatch_options.FOR_GPUS):
            sbatch_options.check(key, getattr(self, key) or {})


def load(name: str | None, quiet: bool = False) -> Cluster | None:
    """The cluster called `name` (a file, or a name in env/clusters). Returns None for this machine.

    quiet: whether nothing is said of an sbatch that belongs to no cluster.
    Without a name: if sbatch is found, env/clusters/site.yaml or the site's defaults; else this machine.
    """
    if name == "local" or (name is None and not _has_slurm(quiet)):
        return None
    if name is None:
        site = FOLDER / f"{SITE}.yaml"
        return read(site) if site.is_file() else Cluster(name="site defaults (no env/clusters/site.yaml)")
    return read(_file(name))


def read(file: Path) -> Cluster:
    """The cluster in a YAML file. Raises UsageError naming file and key."""
    values = yamls.read(file)
    known = config.kinds(Cluster).keys() - {"file"}
    for key in values:
        if key not in known:
            remedy = f"; an option of sbatch: put it under `{sbatch_options.FOR_ALL}:`"
            raise UsageError(f"{file}: unknown key '{key}'{suggestion(key, known)}{remedy}")
    cluster = config.build(Cluster, {"name": file.stem, **values, "file": str(file)}, str(file))
    for key in cluster.env or {}:
        if is_secret(key):
            raise UsageError(f"{file}: env: {key}: a secret does not belong in a file; export it where you submit")
    _check_gres(cluster.gres or "", file)
    return cluster


def where(cluster: Cluster) -> str:
    """The file to edit."""
    if not cluster.file:
        return f"env/clusters/{SITE}.yaml, which does not exist yet (env/README.md says how to begin it)"
    file = Path(cluster.file)
    return str(file.relative_to(places.ROOT) if file.is_relative_to(places.ROOT) else file)


def _check_gres(gres: str, file: Path) -> None:
    try:
        gres.format(gpus=1)
    except (LookupError, ValueError) as error:
        raise UsageError(f"{file}: gres: {gres!r} must have {{gpus}}, and no other braces") from error


def excesses_of(task: Task, cluster: Cluster) -> Iterator[Excess]:
    """`excesses` of a task; they name its node and stage."""
    node = f"node {task.node}" + (f" (stage {task.stage})" if task.stage != task.node else "")
    return excesses(task.resources, cluster, node, f"SET=nodes.{task.node}.resources")


def excesses(resources: Resources, cluster: Cluster, who: str, keys: str = "resources") -> Iterator[Excess]:
    """What somebody asks for that is more than a node of the cluster has, or more time than allowed, and what to do.

    For what needs the network this is the login node's room, if the cluster file names no partition with a network.
    who: who asks; keys: where that is written.
    """
    if on_login_node(resources, cluster):
        yield from _excesses_of_login_node(resources, cluster, who)
        return
    for key, name in LIMITS.items():
        asked, limit = getattr(resources, key), getattr(cluster, name)
        if key == "memory_gb" and asked is not None:
            asked *= ranks_per_node(resources, cluster)[1]
        if limit is not None and asked is not None and asked > limit:
            text = (
                f"{who}: resources: {key} {asked:g} is more than cluster '{cluster.name}' has ({name} {limit:g}); ask "
                f"for less ({keys}.{key}=...), or correct {name} in {where(cluster)}"
            )
            yield Excess(who, key, asked, text)


def on_login_node(resources: Resources, cluster: Cluster) -> bool:
    """Whether a task runs on the login node: it needs the network, and no partition has one."""
    return resources.network and not cluster.network_partition


def _excesses_of_login_node(resources: Resources, cluster: Cluster, who: str) -> Iterator[Excess]:
    room = cluster.login_node
    if room is None:
        text = (
            f"{who}: the task needs the network, and cluster '{cluster.name}' does not say where there is one; set "
            "network_partition (nodes that reach it) or login_node: {cpus: 2, memory_gb: 8} in the cluster file"
        )
        yield Excess(who, "network", 1, text)
        return
    asked = {"cpus": resources.cores, "memory_gb": resources.memory_gb or 0.0, "gpus": resources.gpus}
    for key, limit in {"cpus": room.cpus, "memory_gb": room.memory_gb, "gpus": 0}.items():
        if asked[key] > limit:
            text = (
                f"{who}: the task needs the network, so it runs on the login node; its {key} {asked[key]} is more "
                f"than login_node of cluster '{cluster.name}' allows ({limit}); lower its resources, or set "
                "network_partition"
            )
            yield Excess(who, key, asked[key], text)


def ranks_per_node(resources: Resources, cluster: Cluster) -> tuple[int, int]:
    """(nodes, ranks per node) of a task: as few nodes as the cluster file allows, evenly filled."""
    if not resources.mpi:
        return 1, 1
    room = cluster.ranks_per_node or (cluster.cpus_per_node or resources.cores) // resources.cpus
    nodes = -(-resources.ranks // max(1, room))
    return nodes, -(-resources.ranks // nodes)


def _has_slurm(quiet: bool) -> bool:
    """Whether sbatch is found and belongs to a cluster. Without one (after slurm-down) `sbatch --version` fails."""
    if shutil.which("sbatch") is None:
        return False
    variables = environment.surroundings()
    line = ["sbatch", "--version"]
    if subprocess.run(line, env=variables, capture_output=True, timeout=60, check=False).returncode == 0:
        return True
    if not quiet:
        print("sbatch is found, but not configured for any cluster: running on this machine", file=sys.stderr)
    return False


def _file(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = [file.stem for file in FOLDER.glob("*.yaml")]
    if name not in known:
        raise UsageError(f"CLUSTER={name}: no file {FOLDER / name}.yaml{suggestion(name, [*known, 'local'])}")
    return FOLDER / f"{name}.yaml"
