"""What a sweep needs from the hub: checked, pinned and downloaded into the cache before anything is queued."""

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from lib.artifacts import stage
from lib.base import config
from lib.base.errors import TesseraError, counted
from lib.base.files import existing
from lib.base.progress import Advance, Meter, unheard
from lib.models import hub, hub_fetch
from lib.models.hub import HubItem
from lib.plans.plan import Plan, Task

Missing = dict[HubItem, dict[str, int] | None]  # item -> its missing files and their bytes; None: not known


def items(plan: Plan, done: Collection[str] = ()) -> list[HubItem]:
    """The hub models and data sets that the tasks which are not done need, and the tasks that they read, each once."""
    todo = [task for digest, task in plan.tasks.items() if digest not in done]
    needed = {digest for task in todo for digest in (task.digest, *task.needs())}
    return list(dict.fromkeys(item for digest, task in plan.tasks.items() if digest in needed for item in _of(task)))


def run(plan: Plan, done: Collection[str], lock: Path, console: Console) -> bool:
    """Download everything. Returns whether branches were pinned to commits, so that the plan must be made again.

    Before the first download it raises TesseraError naming every repository that cannot be read, and one if the disk
    of the cache is too small.
    """
    needed = items(plan, done)
    if not needed:
        return False
    hub_fetch.check_access(needed)
    pinned = hub_fetch.pin(needed, lock)
    found = hub_fetch.lacking(pinned)
    _check_room(found, console)
    with _progress(sum(sum(files.values()) for files in found.values()), console) as advance:
        for item in pinned:
            console.print(f"fetch {item}", highlight=False)
            hub_fetch.fetch([item], advance)
    return pinned != needed


@contextlib.contextmanager
def _progress(size: int, console: Console) -> Iterator[Advance]:
    """A bar of the bytes of all files, with their rate and the time left; without a terminal, lines of the same."""
    if console.quiet or not size:
        yield unheard
        return
    if not console.is_terminal:
        with Meter(None, size / 1e6, "MB") as meter:
            yield lambda count: meter.advance(count / 1e6)
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("", total=size)
        yield lambda count: bars.advance(bar, count)


def check(plan: Plan, done: Collection[str], command: str) -> None:
    """Raise TesseraError with the files that the cache lacks, their size, and the `command` that fetches them."""
    found = missing(items(plan, done))
    if found:
        lines = "\n".join(f"  {item}: {_described(files)}" for item, files in found.items())
        raise TesseraError(
            f"the hub cache {hub.cache()} lacks {_total(found)} that the sweep needs; nothing was queued. Fetch it "
            f"where the hub can be reached:\n  {command}\n{lines}"
        )


def missing(needed: Iterable[HubItem]) -> Missing:
    """What the cache lacks. The hub is asked for sizes that the cache does not know, until it does not answer."""
    found: Missing = {}
    silent = False
    for several in hub_fetch.by_repository(needed):
        listed = hub.listing(several[0])
        if listed is not None:
            found |= {item: hub.lacking(item, listed) for item in several}
        else:
            answer = None if silent else _asked(several)
            silent = answer is None
            found |= answer or dict.fromkeys(several)
    return {item: files for item, files in found.items() if files is None or files}


def _of(task: Task) -> list[HubItem]:
    declared = stage.load(task.stage)
    if not hasattr(declared.module, "hub"):
        return []
    return declared.module.hub(config.build(declared.config_class, task.config, f"node {task.node}"))


def _asked(several: list[HubItem]) -> Missing | None:
    try:
        return dict(hub_fetch.lacking(several))
    except TesseraError:
        return None


def _check_room(found: Mapping[HubItem, Mapping[str, int]], console: Console) -> None:
    """Print what will be downloaded. Raises TesseraError if it does not fit on the cache's disk."""
    size = sum(sum(files.values()) for files in found.values())
    place = existing(hub.cache())
    free = shutil.disk_usage(place).free
    if not size:
        console.print(f"the hub cache has all {len(found)} models and data sets of the sweep", highlight=False)
        return
    console.print(f"{_total(found)} to fetch, {hub.gigabytes(free)} free at {place}", highlight=False)
    if size > free:
        raise TesseraError(f"{_total(found)} to fetch, but {place} has {hub.gigabytes(free)} left; set HF_HOME")


def _total(found: Mapping[HubItem, Mapping[str, int] | None]) -> str:
    known = [files for files in found.values() if files is not None]
    count, size = sum(map(len, known)), sum(sum(files.values()) for files in known)
    unknown = len(found) - len(known)
    rest = f" and {unknown} models or data sets of unknown size" if unknown else ""
    return f"{counted(count, 'file')} ({hub.gigabytes(size)}){rest}"


def _described(files: Mapping[str, int] | None) -> str:
    return hub.described(files) if files else "never fetched; its size is not known here"
