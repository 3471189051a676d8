"""shim.c, compiled: faults of the file system and of the clock below a process."""

import functools
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
ROLES = ("controller", "launcher", "job", "runner", "warm", "stage", "other")  # the order of shim.c
OPERATIONS = ("create", "write", "sync", "rename", "read", "open")
BYTES = 4096


@functools.cache
def library(folder: Path) -> Path | None:
    """The compiled shim in `folder`; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    made = folder / "shim.so"
    line = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(SOURCE), "-ldl", "-lpthread"]
    subprocess.run(line, check=True, capture_output=True)
    return made


def counting(made: Path, counts: Path, under: Path) -> dict[str, str]:
    """The environment in which the operations under a folder are counted."""
    counts.write_bytes(bytes(BYTES))
    return {"LD_PRELOAD": str(made), "CAMPAIGN_COUNTS": str(counts), "CAMPAIGN_UNDER": str(under)}


def failing(made: Path, counts: Path, rule: str) -> dict[str, str]:
    """The environment in which a rule holds: role:operation:action:first:last:path."""
    return {**counting(made, counts, Path("/")), "CAMPAIGN_RULE": rule}


def shifted(made: Path, role: str, seconds: int) -> dict[str, str]:
    """The environment in which a role's clock is off."""
    return {"LD_PRELOAD": str(made), "CAMPAIGN_SHIFT": f"{role}:{seconds}"}


def read(counts: Path) -> Mapping[str, int]:
    """`role:operation` -> how often; `fired` -> how often a rule was met."""
    names = [f"{role}:{operation}" for role in ROLES for operation in OPERATIONS] + ["fired"]
    return dict(zip(names, struct.unpack_from(f"{len(names)}q", counts.read_bytes())))
