"""Prefix sweeps of the paper profile, shrunk by settings, against a hub on loopback."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lib.base import places
from lib.base.places import ROOT
from lib.launcher import hub_needs
from lib.plans import documents, expansion
from tests.support import tiny_hub
from tests.support.hub_server import HubServer

# prefix_lengths and prefix_draws have the nodes of prefix_sizes, and some of its models.
SWEEPS = ("prefix_sizes", "prefix_subsets")
OWN = {
    "prefix_sizes": ["prompt_lengths=[4,12]", "decoded=[greedy]"],
    "prefix_subsets": ["prompt_lengths=[8]", "subsets=[Github,WMT-2021]", "decoded=[published]"],
}
SMALL = ["n_prompts=4", "max_prompt_tokens=12", "suffix_tokens=4", "continuation_tokens=6", "parts=1", "enough=1"]
ON_A_CPU = ["generations.config.batch_size=4", "generations.config.device=cpu", "prefix_scores.config.device=cpu"]
NODES = ("generations", "prefix_scores", "prompts_", "model_", "tokenizer_")  # their names, or how they begin


@dataclass
class PaperPrefix:
    """The launcher with its outputs and hub caches in `folder`. cluster: `local`, or a cluster file."""

    folder: Path
    server: HubServer
    tokenizer: Path
    cluster: str = "local"

    def publish(self, sweep: str) -> None:
        """Put tiny repositories behind every name of the sweep."""
        plan = expansion.expand(documents.read(sweep, "paper", settings(sweep)), "paper")
        tiny_hub.publish(self.server, hub_needs.items(plan), self.tokenizer)

    def launch(self, command: str, sweep: str, *flags: str) -> subprocess.CompletedProcess:
        """Run `launch.py <command> <sweep>` in the paper profile."""
        line = [sys.executable, "launch.py", command, sweep, "--profile=paper", f"--cluster={self.cluster}"]
        line += [f"--outputs={self.outputs}", *(f"--set={setting}" for setting in settings(sweep)), *flags]
        return self.run(sweep, line)

    def run(self, sweep: str, line: list[str]) -> subprocess.CompletedProcess:
        """Run a command with the hub on loopback and a cache for the sweep in the folder."""
        own = {"HF_ENDPOINT": self.server.url, "HF_HOME": str(self.folder / f"hf-{sweep}"), "OMP_NUM_THREADS": "1"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        # A user's own 0 must not put a task online.
        environment = {**kept, **own, "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}
        return subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def outputs(self) -> Path:
        """The root of everything that the launcher writes."""
        return self.folder / "outputs"

    def rows(self, sweep: str) -> list[str]:
        """The table of the sweep: its header and rows."""
        return (places.tables(self.outputs, run_name(sweep)) / "memorized.csv").read_text().splitlines()


def settings(sweep: str) -> list[str]:
    """What makes a sweep of the paper profile small enough for two cores: one model of each family, few prompts."""
    small = [f"models=[{','.join(models(sweep))}]", *SMALL, *OWN[sweep]]
    every = documents.read(sweep, "paper", [])["nodes"]
    nodes = [node for node, entry in every.items() if node.startswith(NODES) and "resources" in entry]
    resources = [f"nodes.{node}.resources={{cpus: 1, memory_gb: 1}}" for node in nodes]
    return [*small, *(f"nodes.{setting}" for setting in ON_A_CPU), *resources]


def run_name(sweep: str) -> str:
    """The name of a sweep's run with these settings."""
    return expansion.expand(documents.read(sweep, "paper", settings(sweep)), "paper").run


def models(sweep: str) -> list[str]:
    """The last model that the sweep names of each family (what stands before the dash)."""
    named = documents.read(sweep, "paper", [])["vars"]["models"]
    return sorted({name.partition("-")[0]: name for name in named}.values())
