"""The GPU path, proved on one card in minutes: speed against the card's own limits, agreement with the CPU, resume.

    python -m tests.gpu                               # every part (make gpu-check)
    python -m tests.gpu --only resume decode          # these parts again; gpu.json keeps the others
    python -m tests.gpu --tiny --device cpu           # the rehearsal: tiny models, no GPU
    python -m tests.gpu --table FOLDER/gpu.json       # keep a result in results/, and write the table of README.md

README.md says what each figure means. Nothing is read from a network: all weights are random.
"""

import argparse
import os
import sys
from pathlib import Path

from lib.base.places import ROOT
from tests.gpu import readme, running, table
from tests.gpu.running import PARTS, Options


def main(argv: list[str] | None = None) -> int:
    """Run the parts and print the table. Returns 0 if every part ran and every figure is as wanted, else 1."""
    chosen = parser().parse_args(argv)
    if chosen.table:
        readme.keep(chosen.table)
        return 0
    options = Options(chosen.out.resolve(), chosen.device, chosen.tiny)
    _settle(options)
    found = running.run(chosen.only or list(PARTS), options)
    print(table.printed(found))
    print(f"\n{running.results(options)}; logs of the parts beside it")
    return 0 if table.passed(found) else 1


def parser() -> argparse.ArgumentParser:
    """The flags."""
    found = argparse.ArgumentParser(
        prog="python -m tests.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--out", type=Path, default=ROOT / "outputs" / "gpu-check", help="where gpu.json and logs go")
    found.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    found.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    found.add_argument("--tiny", action="store_true", help="models of a few thousand weights; speeds are not judged")
    found.add_argument("--table", type=Path, metavar="FILE", help="a gpu.json to keep and to show in README.md")
    return found


def _settle(options: Options) -> None:
    """What all processes inherit: the device, one place for the code, the hub offline."""
    os.environ.update({"DS_ACCELERATOR": options.device, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        running.import_once()


if __name__ == "__main__":
    sys.exit(main())
