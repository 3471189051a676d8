"""What must hold after a trial. Each check yields sentences about what does not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from lib.base import places
from tests.campaign import base as bases
from tests.campaign import processes
from tests.campaign.scene import Scene

CODES = (0, 1, 2)  # as launch.py documents them
TRACE = "Traceback (most recent call last)"
PATH = re.compile(r"(?<!\.)\blog: (\S+)")


def broken(scene: Scene, finished: bool) -> list[str]:
    """Everything that does not hold."""
    found = list(scene.problems)
    found += [] if finished else [f"not finished after {len(scene.typed)} commands: {_last(scene)}"]
    for check in (_tables, _once, _processes, _messages, _codes, _words):
        found += check(scene)
    return found


def _last(scene: Scene) -> str:
    lines = [line for line in scene.typed[-1].printed.splitlines() if line.strip()] if scene.typed else []
    return " | ".join(lines[-3:])[-600:]


def _tables(scene: Scene) -> Iterator[str]:
    expected, found = scene.base.tables(scene.run), bases.tables(scene.outputs, scene.run)
    other = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    if other:
        yield f"tables are not those of the undisturbed run: {', '.join(other)}"


def _once(scene: Scene) -> Iterator[str]:
    """What was finished and not damaged has not run again."""
    for artifact in scene.artifacts():
        outcomes = [record.get("outcome") for record in _records(artifact)]
        allowed = 2 if artifact in scene.excused else 1
        if outcomes.count("done") > allowed:
            yield f"{artifact.name} was finished {outcomes.count('done')} times: {outcomes}"
        elif allowed == 1 and "done" in outcomes[:-1]:
            yield f"{artifact.name} ran again after it was finished: {outcomes}"


def _records(artifact: Path) -> list[dict]:
    found = []
    for file in sorted((artifact / places.ATTEMPTS).glob("[0-9]*.json")):
        try:
            found.append(json.loads(file.read_bytes()))
        except ValueError:
            found.append({"outcome": "unreadable"})
    return [record for record in found if isinstance(record, dict)]


def _processes(scene: Scene) -> Iterator[str]:
    for process in processes.left(scene.folder):
        yield f"a process is left: {process.role} {process.pid}: {process.line[:200]}"


def _messages(scene: Scene) -> Iterator[str]:
    for number, command in enumerate(scene.typed):
        if TRACE in command.printed:
            last = command.printed.rpartition(TRACE)[2].strip().splitlines()[-1:]
            yield f"command {number} printed a traceback: {' '.join(last)[:300]}"
        elif scene.logs_are_read and TRACE in (log := _logs(command.printed)):
            yield f"a log that command {number} names has a traceback: {log.strip().splitlines()[-1][:300]}"
        if missing := [path for path in PATH.findall(command.printed) if not Path(path).exists()]:
            yield f"command {number} names a log that is not there: {missing[0]}"


def _logs(printed: str) -> str:
    """The logs that are named; without lines of code."""
    files = [Path(path) for path in PATH.findall(printed)]
    return "\n".join(file.read_text(errors="replace") for file in files if file.is_file())


def _codes(scene: Scene) -> Iterator[str]:
    for number, command in enumerate(scene.typed):
        if not command.cut_off and command.code not in CODES:
            yield f"command {number} ended with {command.code}"


def _words(scene: Scene) -> Iterator[str]:
    """The word for the cause, and no word for another one, in what was printed or in a log that it names."""
    printed = "\n".join(command.printed + _logs(command.printed) for command in scene.typed)
    for pattern in scene.said:
        if not re.search(pattern, printed):
            yield f"nothing printed says: {pattern}"
    for pattern in scene.unsaid:
        if wrong := re.search(pattern, printed):
            yield f"a wrong cause is printed: {wrong[0]}"
