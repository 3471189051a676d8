"""The results of a campaign: a JSON line a trial, and the table by kind."""

import json
import statistics
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from tests.campaign.trial import Result


def read(file: Path) -> list[Result]:
    """The trials that have ended; a last line that was cut off does not count."""
    found = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            found.append(Result(**json.loads(line)))
        except ValueError:
            continue
    return found


def append(file: Path, result: Result) -> None:
    """Add one trial."""
    with open(file, "a") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def table(results: list[Result]) -> str:
    """Markdown: a row a kind, and one for all."""
    rows = defaultdict(list)
    for result in results:
        rows[result.kind].append(result)
    lines = [
        "| kind | trials | as promised | not | met nothing | skipped | median s |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, rows[name]) for name in sorted(rows)]
    return "\n".join([*lines, _row("all", results)])


def _row(name: str, some: list[Result]) -> str:
    skipped = sum(bool(result.skipped) for result in some)
    failed = sum(bool(result.problems) for result in some)
    missed = sum(not result.fired for result in some)
    seconds = [result.seconds for result in some if not result.skipped]
    median = f"{statistics.median(seconds):.1f}" if seconds else ""
    counts = (len(some), len(some) - failed - skipped, failed, missed, skipped, median)
    return f"| {name} | " + " | ".join(map(str, counts)) + " |"
