"""How long planning, status and collection take on a sweep of 10,000 tasks.

python -m tests.benchmarks.bench_orchestration
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lib.artifacts import store
from lib.base import hdf5, places
from lib.plans import documents, expansion, finished
from lib.plans.plan import Plan
from lib.running import submissions, survey
from lib.studies.mosaic import collect

SHARDS = 10_000
ROWS = 100
SCORES = ("loss", "ratio", "zlib", "lowercase", "min_k", "min_k_plus_plus", "ratio_paper")


def main(seeds: int = 200, shards: int = SHARDS) -> None:
    """Print one row a measurement, with the limit that is asked for."""
    root = Path(tempfile.mkdtemp(prefix="tessera-bench-"))
    table = Table("orchestration", "seconds", "at most")
    try:
        document = documents.read("near_dupls", "paper", [f"seeds={list(range(seeds))}"])
        plan, seconds = _timed(lambda: expansion.expand(document, "paper"))
        table.add_row(f"plan a sweep of {len(plan.tasks)} tasks", f"{seconds:.2f}", "2")
        table.add_row(*_freeze_and_check(root, document))
        table.add_row(*_status(root, plan))
        table.add_row(*_collection(root, plan, shards))
    finally:
        shutil.rmtree(root)
    Console().print(table)


def _freeze_and_check(root: Path, document: dict) -> tuple[str, str, str]:
    """Expand, hash and freeze a sweep, then check that all its artifacts are done."""
    plan = expansion.expand(document, "paper")
    for task in plan.tasks.values():
        _finish(finished.directory(root, task), task.digest)

    def work() -> None:
        fresh = expansion.expand(document, "paper")
        submissions.write(root, plan.run, _submit(root, fresh))
        assert len(finished.done(root, fresh)) == len(fresh.tasks)

    _, seconds = _timed(work)
    return f"expand, hash, freeze {len(plan.tasks)} tasks and check their artifacts", f"{seconds:.2f}", "10"


def _status(root: Path, plan: Plan) -> tuple[str, str, str]:
    _, seconds = _timed(lambda: survey.local(root, plan))
    return f"status of {len(plan.tasks)} tasks", f"{seconds:.2f}", "10"


def _collection(root: Path, plan: Plan, shards: int) -> tuple[str, str, str]:
    """Read `shards` score files of ROWS rows, every checksum compared."""
    scores = [task for task in plan.tasks.values() if task.stage == "membership"]
    injected = [task for task in plan.tasks.values() if task.stage == "inject"]
    templates = {write: _template(root / write.__name__, write) for write in (_write_scores, _write_injected)}
    for write, tasks in ((_write_injected, injected), (_write_scores, scores)):
        for task in tasks:
            _shard(finished.directory(root, task), task.digest, templates[write])
    leaves = (plan.leaves * (shards // len(plan.leaves) + 1))[:shards]
    records, seconds = _timed(lambda: list(collect.read_records(root, plan, leaves)))
    assert sum(len(record.members["loss"]) for record in records) == shards * ROWS
    return f"read and verify {shards} shards of {ROWS} rows", f"{seconds:.2f}", "60"


def _finish(directory: Path, digest: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "result.txt").write_text("x")
    entry = {"size": 1, "sha256": store.sha256(directory / "result.txt")}
    (directory / places.DONE).write_text(json.dumps({"digest": digest, "files": {"result.txt": entry}}))


def _template(directory: Path, write: Callable[[Path], None]) -> Path:
    """One real artifact, of which the others are copies: making each would measure fsync."""
    directory.mkdir()
    write(directory)
    store.write_done(directory, "template", "stage", 1)
    return directory


def _shard(directory: Path, digest: str, template: Path) -> None:
    shutil.rmtree(directory)
    shutil.copytree(template, directory)
    record = json.loads((directory / places.DONE).read_text())
    (directory / places.DONE).write_text(json.dumps({**record, "digest": digest}))


def _write_scores(directory: Path) -> None:
    with hdf5.create(directory / places.SCORES) as file:
        for side in ("members", "non_members"):
            for score in SCORES:
                hdf5.write(file.require_group(side), score, np.linspace(0, 1, ROWS))


def _write_injected(directory: Path) -> None:
    with hdf5.create(directory / places.INJECTED) as file:
        hdf5.write(file, "effective_copies", np.ones(ROWS))
        hdf5.write(file, "nominal_copies", np.ones(ROWS))


def _submit(root: Path, plan: Plan) -> submissions.Submit:
    return submissions.Submit(submissions.new_id(), time.time(), "bench", str(root), str(root), [], [], plan.tasks)


def _timed(work: Callable) -> tuple:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


if __name__ == "__main__":
    main()
