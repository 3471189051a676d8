"""The exit code of a process tells of a disk that fails, whatever the error was called on its way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base import errors, processes
from lib.base.errors import TesseraError
from tests.support import toys

CODES = {
    errno.ENOSPC: os.EX_CANTCREAT,
    errno.EDQUOT: os.EX_CANTCREAT,
    errno.EROFS: os.EX_CANTCREAT,
    errno.EIO: os.EX_IOERR,
    errno.EACCES: 1,
    errno.ENOENT: 1,
}


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_the_exit_code_of_an_error_is_that_of_its_cause(number: int, code: int, renamed: bool) -> None:
    error: Exception = OSError(number, os.strerror(number))
    if renamed:
        try:
            raise TesseraError("a file") from error
        except TesseraError as other:
            error = other
    assert errors.exit_code(error) == code


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stage_that_cannot_write_its_log_says_so_by_its_exit_code(tmp_path: Path, unbuffered: str) -> None:
    """Python itself would end with 1, or with 120 if only its last flush fails."""
    toy = toys.make(tmp_path / "checkout")
    (tmp_path / "count.yaml").write_text("number: 1\n")
    line = [sys.executable, "-m", "jobs", "count", f"--config={tmp_path}/count.yaml", f"--out={tmp_path}/out"]
    environment = {**toy.environment, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, cwd=toy.root, env=environment, stdout=full, stderr=full, timeout=60, check=False)
    assert done.returncode == os.EX_CANTCREAT
    assert (
        processes.exit_reason(done.returncode)
        == "ended with exit code 73 (a disk is full, its quota is used up, or it may not be written)"
    )


@pytest.mark.parametrize(("number", "said"), [(0, "0 tasks need"), (1, "1 task needs"), (1000, "1,000 tasks need")])
def test_one_thing_has_no_plural(number: int, said: str) -> None:
    assert f"{errors.counted(number, 'task')} {errors.verb(number, 'need')}" == said
    assert errors.verb(number, "are") == ("is" if number == 1 else "are")
