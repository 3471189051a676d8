"""What `doctor` says of costs and room: hours, memory, disk for the outputs and for the cache of the hub."""

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lib.base.errors import TesseraError, counted
from lib.base.files import existing
from lib.launcher import costs, licences
from lib.launcher.costs import MARGIN_GB
from lib.launcher.finding import Finding
from lib.launcher.sweep import Sweep
from lib.plans import schedule
from lib.plans.disk import Disk
from lib.plans.plan import Plan
from lib.running import local, quota
from lib.running.quota import Left

FREE_GB = 5.0  # without a sweep


def of_sweep(sweep: Sweep) -> Iterator[Finding]:
    """Cost and room of the tasks of a sweep that are not done."""
    done = sweep.done()
    todo = [digest for digest in sweep.plan.tasks if digest not in done]
    need, left = costs.room(sweep, todo)
    yield _cost(sweep.plan, todo)
    if sweep.site is None:  # the limits of a cluster are checked at planning
        yield memory(sweep.plan, todo, local.available_gb())
    yield disk(sweep.plan, need, left)
    yield from hub(sweep.plan, done, sweep.root, need.least + MARGIN_GB)


def in_general(root: Path) -> Iterator[Finding]:
    """Room without a sweep: enough to begin."""
    from lib.models import hub  # imports huggingface_hub

    left = quota.left(root, None)
    level = "ok" if left.gb >= FREE_GB else "fail"
    yield Finding(level, f"{left.gb:.0f} GB {left.where}", f"free {FREE_GB:.0f} GB there, or set OUTPUTS=")
    yield Finding("ok", f"{local.available_gb():.0f} GB of memory are free on this machine")
    yield Finding("ok", f"hub cache: {hub.cache()}, {_free_gb(hub.cache()):.0f} GB free; a sweep says what it needs")


def _cost(plan: Plan, todo: Collection[str]) -> Finding:
    hours = costs.hours(plan.tasks[digest] for digest in todo)
    what = (
        f"cost: {len(todo)} of {counted(len(plan.tasks), 'task')} to do, {hours.tasks:.1f} task hours, "
        f"{hours.gpus:.0f} GPU hours"
    )
    return Finding("ok", f"{what} expected (`plan` says from what)")


def disk(plan: Plan, need: Disk, left: Left) -> Finding:
    """Whether results, weights and checkpoints have room."""
    peak, least = need.peak + MARGIN_GB, need.least + MARGIN_GB
    what = costs.disk_needed(need)
    level = "ok" if peak <= left.gb else "warn" if least <= left.gb else "fail"
    return Finding(level, f"{what}; {left.gb:.0f} GB {left.where}", costs.remedy(plan, need))


def memory(plan: Plan, todo: Collection[str], free_gb: float) -> Finding:
    """Whether the task that needs most memory has it on this machine."""
    sizes = {digest: schedule.memory_gb(plan.tasks[digest].resources) for digest in todo}
    most = max(sizes, key=sizes.__getitem__, default=None)
    if most is None:
        return Finding("ok", f"memory: nothing to do; {free_gb:.0f} GB free")
    what = f"memory: {sizes[most]:.1f} GB for the largest task ({plan.tasks[most].node}); {free_gb:.0f} GB free"
    return Finding("ok" if sizes[most] <= free_gb else "fail", what, "PROFILE=laptop, a larger machine, or a cluster")


def hub(plan: Plan, done: Collection[str], root: Path, outputs_gb: float) -> Iterator[Finding]:
    """Whether the hub has what the tasks need that are not done, and its cache has room for it.

    outputs_gb: what the sweep needs below `root`, which may be on the same file system.
    """
    from lib.launcher import hub_needs  # imports huggingface_hub
    from lib.models import hub_fetch

    items = hub_needs.items(plan, done)
    if not items:
        yield Finding("ok", "hub: not needed")
        return
    gated = licences.gated(plan, done)
    what = f"hub token in the environment{', for gated models: ' * bool(gated)}{', '.join(gated)}"
    remedy = licences.REMEDY if gated else "set HF_TOKEN if a model is gated"
    yield Finding("ok" if os.environ.get("HF_TOKEN") else "warn", what, remedy)
    found = [_repository(several) for several in hub_fetch.by_repository(items)]
    yield from (finding for finding, _ in found if isinstance(finding, Finding))
    yield from _refused(finding for finding, _ in found if not isinstance(finding, Finding))
    yield _cache([size for _, size in found], root, outputs_gb)


def _refused(problems: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Repositories that cannot be had, with the same problem in one finding. problems: repository, what is wrong."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for repo, said in problems:
        alike.setdefault(said.replace(repo, ""), []).append((repo, said))
    for several in alike.values():
        yield Finding("fail", f"hub: {', '.join(repo for repo, _ in several)}", several[0][1])


def _repository(items: list) -> tuple[Finding | tuple[str, str], int | None]:
    """Whether the hub has the items of one repository, or else its name and what is wrong; and the bytes that are left
    to fetch, None if they are not known."""
    from lib.models import hub, hub_fetch

    try:
        hub_fetch.check_access(items)
        missing = {name: size for files in hub_fetch.lacking(items).values() for name, size in files.items()}
    except TesseraError as error:
        return (items[0].repo, str(error).replace(f"{items[0]}: ", "")), None
    what = f"to fetch: {hub.described(missing)}" if missing else "in the cache"
    return Finding("ok", f"hub: {items[0].repo}: {what}"), sum(missing.values())


def _cache(sizes: list[int | None], root: Path, outputs_gb: float) -> Finding:
    """Whether what is left to fetch has room in the cache, beside the outputs if they share its file system."""
    from lib.models import hub

    fetch_gb, free_gb = sum(size or 0 for size in sizes) / 1e9, _free_gb(hub.cache())
    shared = existing(hub.cache()).stat().st_dev == existing(root).stat().st_dev
    what = f"hub cache {hub.cache()}: {fetch_gb:.1f} GB to fetch, {free_gb:.0f} GB free"
    what += f" for it and for {outputs_gb:.1f} GB of outputs" if shared else ""
    what += f"; {sizes.count(None)} repositories are of unknown size" if None in sizes else ""
    enough = fetch_gb + (outputs_gb if shared else 0.0) <= free_gb
    elsewhere = "set HF_HOME to a place with room, which compute nodes can read"
    if fetch_gb <= free_gb and fetch_gb < outputs_gb:  # what is short is the room for outputs
        elsewhere = "set OUTPUTS=<a folder elsewhere>, or run fewer settings at a time"
    return Finding("ok" if enough else "fail", what, elsewhere)


def _free_gb(folder: Path) -> float:
    return shutil.disk_usage(existing(folder)).free / 1e9
