"""What each task of a plan costs: hours, memory and disk, computed from its settings and from facts about its inputs.

A stage that runs on a GPU declares its work (lib/costs/); passes over a corpus have measured rates (rates.py). What
neither covers keeps the `expected_hours` of its node.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib.artifacts.stage import Stage
from lib.base import config
from lib.costs import devices
from lib.costs.devices import Device
from lib.costs.facts import Facts, Given, UnknownFact
from lib.costs.work import Work
from lib.plans import rates
from lib.plans.resources import Excess, Resources

RAM_SAFETY = 1.5  # memory that is asked for, divided by what is computed


@dataclass(frozen=True)
class Cost:
    """What is known of a task before it runs. Sizes are in GB of 10^9 bytes.

    facts: of its result; gpu_gb: on one GPU, at most; results_gb, weights_gb: files that stay, and weights that may be
    dropped; scratch_gb: files while it runs; computed: whether its hours are computed; unknown: the fact that was
    missing for it.
    """

    facts: Facts = field(default_factory=Facts)
    gpu_gb: float = 0.0
    results_gb: float = 0.0
    weights_gb: float = 0.0
    scratch_gb: float = 0.0
    computed: bool = False
    unknown: str = ""


def facts_of(stage: Stage, values: Any, given: Given, stated: Mapping[str, Any] | None, where: str) -> Facts:
    """The facts of a task's result: what its stage computes, else what its node states in YAML."""
    known = config.build(Facts, stated or {}, f"{where}: facts")
    try:
        return stage.module.facts(values, given).over(known) if hasattr(stage.module, "facts") else known
    except UnknownFact:
        return known


def priced(
    stage: Stage, values: Any, given: Given, facts: Facts, asked: Resources, device: Device, max_hours: float
) -> tuple[Resources, Cost]:
    """The resources of a task with hours and memory computed where they can be, and its cost.

    max_hours: the site's limit; the computed limit of a task that is expected to fit stays below it.
    """
    asked = rates.applied(stage.name, asked, facts.over(given.get("corpus", Facts())))
    if not hasattr(stage.module, "work"):
        results, scratch = rates.on_disk(stage.name, asked)
        return asked, Cost(facts, results_gb=results, scratch_gb=scratch, unknown="work" if asked.gpus else "")
    try:
        work = devices.fitting(stage.module.work(values, given), device, max(1, asked.gpus))
    except UnknownFact as error:
        return asked, Cost(facts, unknown=str(error))
    return _timed(work, asked, device, max_hours), _cost(work, facts, asked)


def _timed(work: Work, asked: Resources, device: Device, max_hours: float) -> Resources:
    """Hours and memory of a task with a GPU; one without keeps its own."""
    if not asked.gpus:
        return asked
    hours = devices.seconds(work, device, asked.gpus) / 3600
    memory = asked.memory_gb or float(round(RAM_SAFETY * devices.ram_bytes(work, asked.gpus) / 1e9))
    safe = math.ceil(rates.SAFETY * hours)  # whole hours: tasks with equal limits form one job array
    limit = max(asked.hours, math.ceil(hours), min(safe, max_hours))
    return replace(asked, expected_hours=hours, hours=limit, memory_gb=memory)


def _cost(work: Work, facts: Facts, asked: Resources) -> Cost:
    gpu = devices.gpu_bytes(work, asked.gpus) / 1e9 if asked.gpus else 0.0
    disk = (work.results / 1e9, work.weights / 1e9, work.scratch / 1e9)
    return Cost(facts, gpu, *disk, computed=asked.gpus > 0)


def gpu_excesses(cost: Cost, device: Device, who: str) -> Iterator[Excess]:
    """The GPU memory that a task needs, if that is more than the GPU has."""
    if cost.gpu_gb * 1e9 > device.memory:
        text = (
            f"{who}: needs {cost.gpu_gb:.0f} GB of GPU memory (computed), but {device.name} has "
            f"{device.memory / 1e9:.0f} GB; lower micro_batch or batch_size, turn gradient_checkpointing on, or name "
            "another `gpu` in the cluster file"
        )
        yield Excess(who, "gpu_gb", cost.gpu_gb, text)
