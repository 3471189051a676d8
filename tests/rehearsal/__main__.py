"""A rehearsal of the run on SlimPajama: python -m tests.rehearsal (make rehearse-slimpajama).

Real stages, under MPI, on chunks of the true counts: 20 of 31 billion tokens and 30 million documents each. The files
are sparse: only the ends of each chunk hold text, and only these are read. So positions, offsets, sizes and memory are
those of the real run, and its hours are not.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.base.places import ROOT
from tests.rehearsal.sparse import Size
from tests.support.ranks import ENVIRONMENT


def main() -> int:
    """Rehearse in a temporary folder; what mpirun ends with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made; 0.4 GB, on a disk with holes")
    parser.add_argument("--chunks", type=int, default=Size.chunks, help="36 have more than 2^40 tokens")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--memory-gb", type=float, default=2.0, help="of a rank of duplicate_groups; the plan has 8")
    given = parser.parse_args()
    size = Size(chunks=given.chunks)
    print(f"{size.chunks} chunks of {size.n_tokens:,} tokens and {size.n_documents:,} documents, {given.ranks} ranks")
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=given.folder) as folder:
        python = [sys.executable, "-m", "mpi4py", "-m", "tests.rehearsal.ranks"]
        mpirun = [str(Path(sys.executable).with_name("mpirun")), "-n", str(given.ranks)]
        command = [*mpirun, *python, folder, str(given.chunks), str(given.memory_gb)]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
