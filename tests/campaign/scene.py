"""The scene of one trial: a folder with a checkout and outputs, the commands that are typed, and their processes."""

import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lib.base import places
from tests.campaign import commands, processes, shim
from tests.campaign.base import Base
from tests.campaign.commands import Command
from tests.campaign.processes import Process
from tests.support import toys

SEEN_SECONDS = 20.0


class Missed(Exception):
    """What the fault was to fall on did not come: the trial ran undisturbed from there."""


@dataclass
class Scene:
    """What a kind of fault acts on.

    settings: `--set` of every command. excused: artifacts that the fault damaged, so that they may be made again.
    """

    folder: Path
    base: Base
    rng: random.Random
    sweep: str
    cwd: Path
    outputs: Path
    flags: tuple[str, ...]
    environment: dict[str, str]
    typed: list[Command] = field(default_factory=list)
    excused: set[Path] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # patterns that something printed must match
    unsaid: list[str] = field(default_factory=list)  # patterns that nothing printed may match
    fired: bool = True
    wrapper: tuple[str, ...] = ()
    logs_are_read: bool = False  # whether a traceback in a log that is named counts as well
    confirms: bool = True  # type the command once more when it has said that all is done

    # What is typed

    def line(self, verb: str, *more: str) -> list[str]:
        """The command line of `launch.py verb`."""
        return [sys.executable, str(self.cwd / "launch.py"), verb, self.sweep, *self.flags, *more]

    def start(self, verb: str = "submit", *more: str, environment: Mapping[str, str] | None = None, **how) -> Command:
        """Type a command and do not wait for its end."""
        output = self.folder / f"{len(self.typed):02d}-{verb}.log"
        line = [*self.wrapper, *self.line(verb, *more)]
        env = {**self.environment, **(environment or {})}
        self.note(f"type: {verb} {' '.join(more)} {environment or ''}")
        command = commands.start(line, how.pop("cwd", self.cwd), env, output, **how)
        self.typed.append(command)
        return command

    def type(self, verb: str = "submit", *more: str, **how) -> Command:
        """Type a command and wait for its end."""
        return self.start(verb, *more, **how).wait()

    def finish(self, times: int = 5) -> bool:
        """Type the same command until it says that all is done. Returns whether it did."""
        if not self.confirms and self.typed and self.typed[-1].code == 0 and self.finished():
            return True
        for _ in range(times):
            self.settle()
            if self.type().code == 0 and self.settle() and self.finished():
                return True
        return False

    def settle(self) -> bool:
        """Wait for what runs without the command; on this machine nothing does."""
        return True

    def finished(self) -> bool:
        """Whether the tables are there."""
        return self.tables_folder.is_dir() and any(self.tables_folder.iterdir())

    # What is there

    @property
    def run(self) -> str:
        """The name of the run that is typed."""
        return toys.run_name(self.sweep, *self.flags)

    @property
    def tables_folder(self) -> Path:
        """The folder of the sweep's tables."""
        return places.tables(self.outputs, self.run)

    def artifacts(self) -> list[Path]:
        """The folders of all artifacts, sorted."""
        return sorted(path for path in self.outputs.glob("store/*/*") if path.is_dir())

    def done(self) -> set[Path]:
        """The artifacts that have a DONE.json."""
        return {path for path in self.artifacts() if (path / places.DONE).is_file()}

    def is_read(self, artifact: Path) -> bool:
        """Whether something that is to be made reads this artifact."""
        return bool(self.forgotten & self.base.readers.get(artifact.name, set()))

    def parts(self) -> list[Path]:
        """The artifacts of this sweep's plan that are there."""
        return [path for path in self.artifacts() if path.name in self.base.parts(self.sweep)]

    def readers(self, artifact: Path) -> list[Path]:
        """The artifacts of this sweep's plan that read another one."""
        return [path for path in self.parts() if path.name in self.base.readers.get(artifact.name, ())]

    def artifact_of(self, file: Path) -> Path:
        """The artifact that a file belongs to."""
        return next(path for path in file.parents if path.parent.parent.name == "store")

    def remake(self, chosen: Callable[[str], bool]) -> Path:
        """Forget a random cheap artifact of a chosen stage, so that a command makes it again. Returns it."""
        cheap = [path for path in self.parts() if chosen(path.parent.name) and self.base.seconds(path.name) < 3.0]
        if not cheap:
            raise Missed(f"no artifact of such a stage in {self.sweep}")
        artifact = self.rng.choice(cheap)
        self.forget(artifact)
        return artifact

    def forget(self, artifact: Path) -> None:
        """Remove an artifact, as a user may."""
        shutil.rmtree(artifact)
        self.forgotten.add(artifact.name)
        self.note(f"remove {artifact}")

    def excuse(self, artifact: Path) -> None:
        """Allow that an artifact is made again."""
        self.excused.add(artifact)

    # Moments and processes

    def pause(self, seconds: float) -> None:
        """Wait for a random part of some seconds."""
        time.sleep(self.rng.uniform(0.0, seconds))

    def processes(self, role: str) -> list[Process]:
        """The living processes of a role, the oldest first."""
        return sorted((one for one in processes.of(self.folder) if one.role == role), key=lambda one: one.pid)

    def see(self, role: str, seconds: float = SEEN_SECONDS) -> Process:
        """A random process of a role. Raises Missed if none comes."""
        deadline = time.monotonic() + seconds
        while not (found := self.processes(role)):
            if time.monotonic() > deadline or (self.typed and self.over()):
                raise Missed(f"no {role} was seen")
            time.sleep(0.01)
        return self.rng.choice(found)

    def expect_end(self) -> None:
        """Nothing that the command has started may live on."""
        for process in processes.left(self.folder):
            self.problem(f"{process.role} {process.pid} lives on: {process.line[:160]}")
        processes.end(self.folder)

    def over(self) -> bool:
        """Whether nothing of the trial runs any more."""
        return self.typed[-1].code is not None

    def hit(self, process: Process, signal: int) -> None:
        """Send a signal to a process of the sweep; the command that it belongs to may be cut off."""
        self.note(f"signal {signal} to {process.role} {process.pid}: {process.line[:160]}")
        self.fired = process.signal(signal) and self.fired
        for command in self.typed:
            command.cut_off |= command.process.pid == process.pid

    def note(self, text: str) -> None:
        """A line in the trial's log."""
        self.notes.append(f"{time.strftime('%H:%M:%S')} {text}")

    def problem(self, text: str) -> None:
        """A promise that was broken."""
        self.problems.append(text)

    # Faults below the process

    @property
    def counts(self) -> Path:
        """What the shim counts."""
        return self.folder / "counts"

    def rule(self, role: str, operation: str, action: str, lasting: bool = False, many: int = 0) -> dict[str, str]:
        """The environment in which a random operation of a role fails, or all from there on.

        many: of how many operations at most, the first ones more often; without it of those of the undisturbed run.
        """
        counted = max(1, self.base.counts.get(f"{role}:{operation}", 1))
        first = int(many ** self.rng.random()) if many else self.rng.randint(1, counted)
        last = 1 << 40 if lasting else first
        rule = f"{role}:{operation}:{action}:{first}:{last}:{self.outputs}"
        self.note(f"rule {rule} (of {many or counted})")
        return shim.failing(self.base.shim, self.counts, rule)

    def met(self) -> bool:
        """Whether the last rule was met, and note it."""
        self.fired = shim.read(self.counts)["fired"] > 0
        return self.fired


def clean_environment() -> Iterator[tuple[str, str]]:
    """The variables of this process that a trial inherits."""
    kept = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "SHELL", "TERM", "OMP_NUM_THREADS")
    yield from ((key, value) for key, value in os.environ.items() if key in kept)
