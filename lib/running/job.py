"""What a batch job runs: `python -m lib.running.job SUBMIT_FILE NAME`, NAME being that of an array or a controller.

The element of an array finds its task by its index, so the script of an array needs nothing that is written after
sbatch has answered. A launcher that is killed while it submits leaves jobs that run.
"""

import os
import sys
import time
from pathlib import Path

from lib.base.errors import TesseraError, exit_code
from lib.running import runner, submissions

PATIENCE_SECONDS = 60.0  # a node may see a new file late: listings of a shared file system are cached


def main(submit_file: str, name: str) -> int:
    """Run one element, or the controller. Returns 0, or after an error 1, or 73 or 74 (see errors.exit_code)."""
    try:
        file = _awaited(Path(submit_file))
        submit = submissions.read(file)
        if name == submit.controller:
            runner.run_controller(file, submit)
        else:
            (array,) = (array for array in submit.arrays if array.name == name)
            runner.run_element(submit, array.elements()[int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))])
    except (TesseraError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code(error)
    return 0


def _awaited(file: Path) -> Path:
    """The submit file, as soon as this node sees it. It was written before sbatch was called."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not file.exists() and time.monotonic() < deadline:
        os.listdir(file.parent if file.parent.exists() else ".")  # asks the file server anew
        time.sleep(1.0)
    return file


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
