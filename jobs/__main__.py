"""Stages by hand: `python -m jobs` lists them, `python -m jobs STAGE --help` tells what one reads and writes."""

import sys

from lib.artifacts.command import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
