"""make gpu-check: the check on the GPU of this machine, or as a job in the GPU partition of a cluster.

    python -m tests.gpu.submit [--outputs FOLDER] [--cluster NAME] [flags of python -m tests.gpu]

A GPU that `nvidia-smi` lists is used, unless a cluster is named.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.base.errors import TesseraError, UsageError, exit_code
from lib.base.places import ROOT
from lib.plans.resources import Resources
from lib.running import batch, container, site, submissions
from lib.running.site import Cluster
from tests.gpu import __main__ as check
from tests.gpu.running import PARTS

TO_START = 300  # seconds for imports on a file system that was not read yet
NEEDS = Resources(cpus=8, memory_gb=64, gpus=1, hours=(sum(PARTS.values()) + TO_START) / 3600)


def main(argv: Sequence[str] | None = None) -> int:
    """Run or submit the check. Returns the check's own code, 0 for a submission, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.submit", description=__doc__.splitlines()[0])
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="gpu-check/ in it gets the results")
    parser.add_argument("--cluster", help="a file or name in env/clusters, or local")
    chosen, flags = parser.parse_known_args(argv)
    out = chosen.outputs.resolve() / "gpu-check"
    try:
        here = chosen.cluster in (None, "local") and has_gpu()
        cluster = None if here else site.load(chosen.cluster)
        if cluster is None and not here:
            raise UsageError("`nvidia-smi -L` lists no GPU here, and there is no SLURM; name one with CLUSTER=")
        if cluster is not None:
            print(submitted(cluster, out, flags))
            return 0
    except TesseraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else exit_code(error)
    return check.main(["--out", str(out), *flags])


def submitted(cluster: Cluster, out: Path, flags: Sequence[str]) -> str:
    """Submit the check; in words which job it is, and where its result will be. Raises TesseraError."""
    if excesses := list(site.excesses(NEEDS, cluster, "the GPU check")):
        raise UsageError("\n".join(one.text for one in excesses))
    name = f"gpu-check-{submissions.new_id()}"
    job = batch.send(out / f"{name}.sh", name, script(cluster, out, name, flags))
    return f"job {job} submitted; its result will be {out / 'gpu.json'}, its log {out / f'{job}_0_log.out'}"


def script(cluster: Cluster, out: Path, name: str, flags: Sequence[str]) -> str:
    """The batch script of the check: one GPU, with the options of the cluster file, in this checkout."""
    python = container.PYTHON if cluster.container else sys.executable
    entrance = container.entrance(cluster.container, NEEDS, out)
    command = [*entrance, python, "-u", "-m", "tests.gpu", "--out", str(out), *flags]
    return batch.of_command(command, out, batch.parameters(cluster, NEEDS, name, str(ROOT), parallelism=1))


def has_gpu() -> bool:
    """Whether the driver lists a GPU of this machine."""
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout


if __name__ == "__main__":
    sys.exit(main())
