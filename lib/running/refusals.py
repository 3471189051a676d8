"""What to do about a job that sbatch refuses, by its message (slurm_errno.c of SLURM): which keys to look at."""

import re

from lib.running import site, slurm
from lib.running.site import Cluster

ACCOUNT = "`account`, `gpu_account` and the partitions"
PARTITIONS = "`partition`, `gpu_partition`, `network_partition`"
KEYS = {  # the first pattern that is found in a message
    r"account\b": ACCOUNT,
    "qos": "`qos`",
    "wckey": "`wckey`",
    "reservation": "`reservation` under `sbatch` and `gpu_sbatch`",
    "node name|nodelist|hostlist": "`exclude` and `nodelist` under `sbatch` and `gpu_sbatch`",
    "partition": PARTITIONS,
    "time limit": "`max_hours`, the limit of the partition,",
    "gres|generic resource|tres": "`gres`, `gpus_per_node`",
    "feature|constraint": "`constraint`",
    "memory": "`memory_gb_per_node`",
    "node configuration|cpu count|node count": (
        "`cpus_per_node`, `gpus_per_node`, `memory_gb_per_node`, `gres`, `constraint`"
    ),
    "licen[sc]e": "`licenses` under `sbatch` and `gpu_sbatch`",
    "option|argument|invalid --": "`sbatch`, `gpu_sbatch`",
}


def remedy(said: str, cluster: Cluster) -> str:
    """What to look at after sbatch has said this, with the partitions that there are if it is about one."""
    found = (keys for pattern, keys in KEYS.items() if re.search(pattern, said, re.IGNORECASE))
    keys = next(found, "the keys that go to sbatch")
    known = _partitions() if keys in (ACCOUNT, PARTITIONS) else ""
    return f"check {keys} in {site.where(cluster)}{known}"


def _partitions() -> str:
    try:
        return f" (partitions: {', '.join(slurm.partitions())})"
    except slurm.SchedulerUnavailable:  # what it would add is no reason to lose the message
        return ""
