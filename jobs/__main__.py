"""Stages by hand: `python -m jobs` lists them, `python -m jobs STAGE --help` tells what one reads and writes."""

import importlib.util
import sys

if not importlib.util.find_spec("h5py"):
    sys.exit(f"error: {sys.executable} has no packages of this project; take .venv/bin/python, which `make env` makes")

from lib.artifacts.command import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
