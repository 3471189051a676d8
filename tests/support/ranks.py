"""Runs a stage under real MPI ranks. It stands for a user who types the `mpirun` command of the README."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.base.places import ROOT

TIMEOUT_SECONDS = 300.0
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def command(stage: str, config: Path, out: Path, ranks: int) -> list[str]:
    """mpirun for several ranks, else the plain command."""
    python = [sys.executable, "-m", "mpi4py", "-m", "jobs", stage, "--config", str(config), "--out", str(out)]
    return [str(Path(sys.executable).with_name("mpirun")), "-n", str(ranks), *python] if ranks > 1 else python


def run_ranks(
    stage: str, config: Mapping[str, Any], out: Path, ranks: int = 1, within: Sequence[str] = ()
) -> subprocess.CompletedProcess:
    """Run a stage to its end; the configuration (with `inputs`) is written beside `out`. Paths may be Paths.

    within: what stands before the command, such as a limit.
    """
    file = out.with_name(f"{out.name}.yaml")
    file.write_text(json.dumps(config, default=str))
    return subprocess.run(
        [*within, *command(stage, file, out, ranks)],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
