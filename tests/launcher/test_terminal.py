import errno
import io
import os
import pty
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


ASK = """
import sys; from lib.launcher import terminal; terminal.prepare()
answer = terminal.ask('go? '); print(repr(answer), repr(sys.stdin.read()))
"""


def test_a_question_is_asked_on_a_terminal_alone() -> None:
    """A session with a terminal of its own, then the same with standard input or output elsewhere."""
    pid, terminal_end = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", ASK])
    os.write(terminal_end, b"yes\n")
    said = b""
    while b"''" not in said:
        said += os.read(terminal_end, 1000)
    os.waitpid(pid, 0)
    os.close(terminal_end)
    assert b"go? " in said
    assert b"'yes\\n' ''" in said
    line = [sys.executable, "-c", ASK]
    done = subprocess.run(line, cwd=ROOT, input="yes\n", capture_output=True, text=True, check=True)
    assert done.stdout == "None ''\n"
