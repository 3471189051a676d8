"""What is printed: logs without what hides their one line that says why."""

from lib.launcher import printing

RULE = "-" * 74
ABORT = f"""{RULE}
MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD
  Proc: [[1234,1],0]
  Errorcode: 1

NOTE: invoking MPI_ABORT causes Open MPI to kill all MPI processes.
{RULE}
{RULE}
prterun has exited due to process rank 0 with PID 0 on node here calling
"abort". This may have caused other processes to be terminated.
{RULE}
{RULE}
Sorry!  You were supposed to get help about:
    mpi-abort
from the file:
    /opt/openmpi/share/openmpi/help-mpi-api.txt: No such file or directory
But I couldn't find that topic in the file.  Sorry!
{RULE}
"""


def test_a_log_of_a_rank_that_failed_ends_with_its_own_line() -> None:
    assert printing.without_mpi(f"begun\nerror: too few targets\n{ABORT}") == "begun\nerror: too few targets"
    for text in ("error: nothing of MPI\n", f"a table\n{RULE}\n1 2\n{RULE}\n"):
        assert printing.without_mpi(text).split() == [word for word in text.split() if word != RULE]
    assert "MPI_ABORT" in printing.without_mpi(ABORT)  # nothing else is known
