"""A site with strict policies, made of the fake SLURM: python -m tests.support.strict_site COMMAND...

No accounting; two jobs of a user at a time; arrays of four; one hour; jobs that end slowly; jobs that see nothing of
the submitting shell, have no home that can be written, live in another time zone, and find Python only after a line of
set-up (`module load`, here `unset PYTHONHOME`); a quota.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.support.toys import FAKES

POLICY = {
    "accounting": False,
    "max_submit_jobs": 2,
    "max_array_size": 4,
    "max_hours": 1,
    "epilog_seconds": 0.5,
    "environment": {"HOME": "/proc", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHOME": "/nonexistent"},
}
CLUSTER = """
name: strict
max_hours: 1
array_parallelism: 2
max_submit_jobs: 2
poll_seconds: 0.5
silence_seconds: 5
disk_quota_gb: 20
setup: [unset PYTHONHOME, "export XDG_CACHE_HOME=${TMPDIR:-/tmp}/tessera-cache"]
"""


def main(command: list[str]) -> None:
    """Become the command, on such a site."""
    root = Path(tempfile.mkdtemp(prefix="strict-site-"))
    (root / "jobs").mkdir()
    (root / "policy.json").write_text(json.dumps(POLICY))
    (root / "cluster.yaml").write_text(CLUSTER)
    here = {"FAKE_SLURM": str(root), "PATH": f"{FAKES}:{os.environ['PATH']}", "CLUSTER": str(root / "cluster.yaml")}
    os.execvpe(command[0], command, {**os.environ, **here})


if __name__ == "__main__":
    main(sys.argv[1:])
