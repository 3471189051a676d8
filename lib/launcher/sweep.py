"""The sweep that a command is about: its plan, where it runs, and where its results are."""

import math
import shlex
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from lib.artifacts import hub_lock
from lib.base import places
from lib.base.errors import UsageError
from lib.costs import devices
from lib.costs.devices import Device
from lib.plans import costing, documents, expansion, finished, runs
from lib.plans.plan import Plan
from lib.plans.resources import Excess
from lib.running import batch, slurm, survey
from lib.running import site as clusters
from lib.running.controllers import MAX_FAILURES_FLAG
from lib.running.site import Cluster
from lib.running.survey import Survey


@dataclass(frozen=True)
class Sweep:
    """A sweep as the command line asks for it.

    site: None means this machine; root: the folder of all outputs; device: the GPU that hours are computed for.
    """

    plan: Plan
    site: Cluster | None
    root: Path
    device: Device

    def done(self) -> set[str]:
        """The digests of the tasks that are done."""
        return finished.done(self.root, self.plan)

    def survey(self) -> Survey:
        """The state of every task. Where SLURM is not asked, submitted tasks whose end nothing tells are unknown; if
        it does not answer, `trouble` says why."""
        if self.site is None:
            return survey.without_slurm(self.root, self.plan)
        try:
            return survey.cluster(self.root, self.plan, self.site.silence_seconds)
        except slurm.SchedulerUnavailable as error:
            found = survey.without_slurm(self.root, self.plan, self.site.silence_seconds)
            found.trouble = f"{error}: queued and running tasks cannot be distinguished from failed ones"
            return found


def load(arguments: Namespace) -> Sweep:
    """Plan the sweep that the command line names. Raises UsageError if a task does not fit on the cluster."""
    site, root = clusters.load(arguments.cluster, arguments.quiet), arguments.outputs.resolve()
    profile = arguments.profile or ("paper" if site else "laptop")
    document = documents.read(arguments.sweep, profile, arguments.settings)
    device = devices.find(site.gpu if site else None, f"cluster '{site.name}': gpu" if site else profile)
    max_hours = (site.max_hours if site else None) or math.inf
    pins = hub_lock.read(places.hub_lock(root))
    plan = expansion.expand(document, profile, pins, device, max_hours, root)
    if site:
        _check_room(plan, site, device)
    return Sweep(plan, site, root, device)


def _check_room(plan: Plan, site: Cluster, device: Device) -> None:
    """Raise UsageError with a line for all that nodes of the plan need and the cluster, or its GPU, does not have."""
    most: dict[tuple[str, str], Excess] = {}
    for digest, task in plan.tasks.items():
        gpu = costing.gpu_excesses(plan.costs[digest], device, f"node {task.node}") if site.gpu else ()
        for one in (*clusters.excesses_of(task, site), *gpu):
            key = (one.who, one.key)
            most[key] = max(most.get(key, one), one, key=lambda excess: excess.asked)
    if most:
        raise UsageError("\n".join(one.text for one in most.values()))


def submit_command(arguments: Namespace, profile: str) -> list[str]:
    """The launcher's arguments that a controller repeats."""
    line = [*_again("submit", arguments, profile), "--no-fetch"]
    line += [f"{MAX_FAILURES_FLAG}={arguments.max_failures}"] if arguments.max_failures else []
    return line + ([f"--notify={arguments.notify}"] if arguments.notify is not None else [])


def shown_command(arguments: Namespace, plan: Plan, verb: str) -> str:
    """The shell line for a user that asks for the status or end of the same sweep. verb: as `make` calls it."""
    line = runs.command(plan.name, plan.profile, plan.settings, verb)
    by_make = line.startswith("make ")
    if arguments.cluster:
        line += f" {'CLUSTER=' if by_make else '--cluster='}{shlex.quote(arguments.cluster)}"
    if arguments.outputs.resolve() != places.ROOT / "outputs":
        line += f" {'OUTPUTS=' if by_make else '--outputs='}{shlex.quote(str(arguments.outputs))}"
    return line


def collect_command(arguments: Namespace, profile: str) -> list[str]:
    """The launcher's arguments that collect the same sweep."""
    return _again("collect", arguments, profile)


def fetch_command(arguments: Namespace, sweep: Sweep) -> str:
    """The shell line that fetches a sweep; under srun if the cluster has a partition for the network."""
    line = [sys.executable, str(places.ROOT / "launch.py"), *_again("fetch", arguments, sweep.plan.profile)]
    if sweep.site and sweep.site.network_partition:
        return batch.interactive(sweep.site, line)
    return shlex.join(line)


def _again(verb: str, arguments: Namespace, profile: str) -> list[str]:
    """The launcher's arguments for the same sweep.

    They name the profile, so that it does not depend on what is found where they are used. Without --cluster the
    launcher looks for the cluster again there (a controller in its snapshot).
    """
    line = [verb, arguments.sweep, f"--outputs={arguments.outputs.resolve()}"]
    line += [f"--set={setting}" for setting in arguments.settings]
    line += [f"--profile={profile}"]
    if arguments.cluster:
        file = Path(arguments.cluster)
        line.append(f"--cluster={file.resolve() if file.suffix else arguments.cluster}")
    return line
