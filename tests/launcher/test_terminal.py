import errno
import io
import subprocess
import sys

import pytest

from lib.base.places import ROOT
from lib.launcher import terminal


class Broken(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "played")


@pytest.mark.parametrize(("number", "closed"), [(errno.EPIPE, True), (errno.ENOSPC, False), (errno.EIO, False)])
def test_an_error_of_standard_output_says_that_it_is_one(number: int, closed: bool) -> None:
    with pytest.raises(terminal.OutputError, match="standard output cannot be written: played") as error:
        terminal._Output(Broken(number)).write("text")
    assert error.value.is_closed == closed


def test_nothing_waits_for_input() -> None:
    """Neither we nor a program that we start reads what the user's terminal would give: the pipe stays open."""
    code = (
        "import subprocess, sys; from lib.launcher import terminal; terminal.prepare(); "
        "print(repr(sys.stdin.read()), subprocess.run(['cat'], capture_output=True).stdout)"
    )
    line = [sys.executable, "-c", code]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asked:
        assert asked.stdout.read() == "'' b''\n"
