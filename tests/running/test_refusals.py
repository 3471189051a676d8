"""What sbatch says when it refuses a job. The messages are those of SLURM's slurm_errno.c (22.05)."""

import pytest

from lib.running import batch, refusals, slurm
from lib.running.site import Cluster

CLUSTER = Cluster("c", file="/home/me/c.yaml")


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("Invalid partition name specified", "`partition`"),
        ("Invalid account or account/partition combination specified", "`account`"),
        ("User's group not permitted to use this partition", "`partition`"),
        ("Requested reservation is invalid", "`reservation` under `sbatch`"),
        ("Access denied to requested reservation", "`reservation` under `sbatch`"),
        ("Invalid node name specified", "`exclude`"),
        ("Invalid qos specification", "`qos`"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "`max_hours`"),
        ("Requested node configuration is not available", "`cpus_per_node`"),
        ("Invalid feature specification", "`constraint`"),
        ("Invalid generic resource (gres) specification", "`gres`"),
        ("Invalid license specification", "`licenses`"),
        ("Invalid wckey specification", "`wckey`"),
        ("Memory specification can not be satisfied", "`memory_gb_per_node`"),
        ("something new", "the keys that go to sbatch"),
    ],
)
def test_a_refusal_names_the_key_the_file_and_the_partitions(monkeypatch, message: str, key: str) -> None:
    monkeypatch.setattr(slurm, "partitions", lambda: ["cpu", "a100"])
    said = refusals.remedy(message, CLUSTER)
    assert said.startswith(f"check {key}")
    assert " in /home/me/c.yaml" in said
    assert ("(partitions: cpu, a100)" in said) == ("partition" in message.lower())


def test_without_partitions_or_a_file_the_keys_are_named(monkeypatch) -> None:
    def silent() -> list[str]:
        raise slurm.SchedulerUnavailable("sinfo failed")

    monkeypatch.setattr(slurm, "partitions", silent)
    said = refusals.remedy("Invalid partition name specified", Cluster("site defaults"))
    assert "`gpu_partition`" in said
    assert "env/clusters/site.yaml, which does not exist yet" in said


def test_sbatch_says_everything_once() -> None:
    text = """sbatch: error: invalid partition specified: foo
sbatch: error: Batch job submission failed: Invalid partition name specified
sbatch: error: Batch job submission failed: Invalid partition name specified
"""
    assert batch._said(text) == "invalid partition specified: foo; Invalid partition name specified"
