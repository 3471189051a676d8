"""Options that a cluster file passes through to sbatch. The names are those of `man sbatch` of SLURM 22.05."""

from pathlib import Path

import pytest

from lib.base.errors import UsageError
from lib.plans.resources import Resources
from lib.running import batch, site
from lib.running.site import Cluster

# Every long option of `man sbatch` that neither Tessera nor the shape of its jobs decides.
FREE = """
acctg-freq batch bb bbf cluster-constraint comment container contiguous core-spec cpu-freq
deadline delay-boot distribution exclude exclusive extra-node-info gid gpu-bind gpu-freq hint ignore-pbs
kill-on-invalid-dep licenses mail-type mail-user mcs-label mem-bind mincpus network nice no-kill nodefile nodelist
overcommit oversubscribe power prefer priority profile propagate reboot reservation sockets-per-node
spread-job switches thread-spec threads-per-core tmp uid use-min-nodes wait-all-nodes x11 constraint
"""
DECIDED = """
account array begin chdir clusters cpus-per-gpu cpus-per-task dependency error export export-file get-user-env gpus
gpus-per-node gpus-per-socket gpus-per-task gres help hold input job-name mem mem-per-cpu mem-per-gpu no-requeue nodes
ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output parsable partition qos quiet
requeue signal test-only tres-per-task time time-min usage version wait wckey wrap
"""


def read(tmp_path: Path, text: str) -> Cluster:
    (tmp_path / "mine.yaml").write_text(text)
    return site.read(tmp_path / "mine.yaml")


def lines(cluster: Cluster, resources: Resources, after: tuple[str, ...] = ()) -> list[str]:
    asked = batch.parameters(cluster, resources, "n", "/s", 4, after)
    return batch.script(Path("/x.json"), "n", asked, 1).splitlines()


@pytest.mark.parametrize("name", FREE.split())
def test_what_is_not_decided_here_reaches_the_script(tmp_path: Path, name: str) -> None:
    cluster = read(tmp_path, f"sbatch: {{{name.replace('-', '_')}: a b}}")
    assert f"#SBATCH --{name}='a b'" in lines(cluster, Resources(), after=("7",))


@pytest.mark.parametrize("name", [*DECIDED.split(), "p", "--mail-user", "clust", "dep", "job", "arr", "job_name"])
def test_what_is_decided_here_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"mine.yaml: gpu_sbatch: {name}: (cannot be passed|write the long name)"):
        read(tmp_path, f"gpu_sbatch: {{{name}: '1'}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sbatch: {mail_user: a, mail-user: b}", "sbatch: mail_user: the option is named twice"),
        ("gpu_sbatch: {mail_user: a}", "gpu_sbatch: mail_user: mail is sent for controllers"),
        ("sbatch: {exclusive: false}", "sbatch: exclusive: is false; leave the option out"),
        ('sbatch: {comment: "a\\n#SBATCH --hold"}', "sbatch: comment: 'a\\n#SBATCH --hold' has characters"),
        ("sbatch: {nice: 1.5}", "sbatch: nice is 1.5; it must be str or int or bool"),
    ],
)
def test_a_value_that_cannot_stand_on_its_line_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_options_reach_the_jobs_that_they_are_for(tmp_path: Path) -> None:
    cluster = read(
        tmp_path,
        "constraint: a100\n"
        "sbatch: {mail_type: 'END,FAIL', exclude: n1, constraint: cpu, reservation: all, oversubscribe: true}\n"
        "gpu_sbatch: {reservation: gpus}",
    )
    task, gpu = lines(cluster, Resources()), lines(cluster, Resources(gpus=1))
    controller = lines(cluster, Resources(), after=("7",))
    for one in (task, gpu, controller):
        assert {"#SBATCH --exclude=n1", "#SBATCH --oversubscribe"} <= set(one)
    mails = [any("--mail-type=END,FAIL" in line for line in one) for one in (task, gpu, controller)]
    assert mails == [False, False, True]
    assert {"#SBATCH --constraint=cpu", "#SBATCH --reservation=all"} <= set(task)
    assert {"#SBATCH --constraint=a100", "#SBATCH --reservation=gpus"} <= set(gpu)
    assert [sum("reservation" in line or "constraint" in line for line in one) for one in (task, gpu)] == [2, 2]
