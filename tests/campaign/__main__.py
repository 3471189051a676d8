"""Random faults in real runs: python -m tests.campaign -n 1000 --seed 1 (make campaign N=1000 SEED=1).

A trial commits one fault, types the same command until all is done, and checks what was promised. The same command
goes on where it stopped, unless the code has changed. A trial that did not end as promised is kept whole, and printed
with how to repeat it.
"""

import argparse
import contextlib
import fnmatch
import importlib
import itertools
import os
import signal
import sys
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from lib.base.places import ROOT
from tests.campaign import base as bases
from tests.campaign import commands, processes, real_slurm, results, trial
from tests.campaign.base import Base
from tests.campaign.registry import KINDS
from tests.campaign.trial import Result
from tests.support import signals

for file in sorted(Path(__file__).with_name("kinds").glob("*.py")):
    importlib.import_module(f"tests.campaign.kinds.{file.stem}")


def main(argv: list[str] | None = None) -> int:
    """Run what is missing of a campaign. Returns 0 if every trial has ended as promised, else 1."""
    chosen = parser().parse_args(argv)
    signals.let_commands_be_interrupted()
    names = sorted(name for name in KINDS if any(fnmatch.fnmatch(name, pattern) for pattern in chosen.kinds))
    if chosen.list:
        print("\n".join(f"{name}: {KINDS[name].promise}" for name in names))
        return 0
    folder = chosen.folder.resolve()
    if chosen.real:
        trial.SCENES["slurm"], chosen.jobs = real_slurm.scene, 1
    if chosen.trial:
        return _repeat(chosen, folder)
    file = folder / f"seed-{chosen.seed}-{bases.code()}{'-real' * chosen.real}.jsonl"
    ended = {result.number: result for result in results.read(file)}
    missing = [number for number in numbers(chosen, names) if number not in ended]
    for result in _run(chosen, folder, missing):
        results.append(file, result)
        ended[result.number] = result
        _say(result, len(ended), chosen.n, folder)
    return _end([ended[number] for number in sorted(ended)], file)


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    found.add_argument("-n", type=int, default=100, help="how many trials (default: 100)")
    found.add_argument("--seed", type=int, default=1)
    found.add_argument("--trial", metavar="SEED:NUMBER", help="repeat one trial, and keep its folder")
    found.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="trials at a time (default: all cores)"
    )
    found.add_argument(
        "--kinds", nargs="+", default=["*"], metavar="PATTERN", help="of these names alone, as 'slurm: *'"
    )
    found.add_argument("--folder", type=Path, default=ROOT / "outputs" / "campaign", help="of results and kept trials")
    found.add_argument("--finished", type=Path, help="outputs with the finished smoke sweeps, to save their runs")
    found.add_argument("--real", action="store_true", help="SLURM is the cluster of `make slurm-up`; --jobs is 1")
    found.add_argument("--list", action="store_true", help="print the kinds and what is promised")
    return found


def _bases(chosen: argparse.Namespace, folder: Path, layers: set[str]) -> dict[str, Base]:
    """The undisturbed run of every layer that is needed."""
    place = bases.room(folder / "base")
    found = {layer: bases.toy(place, layer) for layer in sorted(layers - {"data"})}
    if "data" in layers:
        found["data"] = bases.data(place, chosen.finished)
    return found


def numbers(chosen: argparse.Namespace, names: list[str]) -> list[int]:
    """The first n trials of the chosen kinds. A number means the same trial whatever is chosen."""
    matching = (number for number in itertools.count() if trial.kind_of(chosen.seed, number).name in names)
    return list(itertools.islice(matching, chosen.n))


def _run(chosen: argparse.Namespace, folder: Path, numbers: list[int]):
    """The results of trials, as they end."""
    kinds = {number: trial.kind_of(chosen.seed, number) for number in numbers}
    made = _bases(chosen, folder, {kind.layer for kind in kinds.values()})
    with ThreadPoolExecutor(chosen.jobs) as pool, _ending(folder):
        running: set[Future] = set()
        for number, kind in kinds.items():
            place = folder / "trials" / f"{chosen.seed}-{number}"
            running.add(pool.submit(trial.run, chosen.seed, number, kind, made[kind.layer], place))
            if len(running) == chosen.jobs:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in ended)
        yield from (one.result() for one in wait(running).done)


@contextlib.contextmanager
def _ending(folder: Path):
    """If the campaign is interrupted, end what its trials have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except BaseException:
        commands.STOPPED.set()
        processes.end(folder / "trials")
        raise


def _repeat(chosen: argparse.Namespace, folder: Path) -> int:
    seed, _, number = chosen.trial.partition(":")
    chosen.seed, chosen.jobs = int(seed), 1
    (result,) = _run(chosen, folder, [int(number)])
    _say(result, 1, 1, folder)
    return 1 if result.problems else 0


def _say(result: Result, ended: int, total: int, folder: Path) -> None:
    word = "NOT AS PROMISED" if result.problems else "skipped" if result.skipped else "ok"
    print(f"{ended}/{total} {result.seed}:{result.number} {result.kind}: {word} ({result.seconds:.1f} s)", flush=True)
    for problem in result.problems:
        print(f"    {problem}", flush=True)
    if result.problems:
        print(f"    kept: {folder / 'trials' / f'{result.seed}-{result.number}'}", flush=True)


def _end(ended: list[Result], file: Path) -> int:
    print(f"\n{results.table(ended)}\n\nresults: {file}")
    return 1 if any(result.problems for result in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
