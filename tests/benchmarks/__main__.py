"""Every benchmark, one after another: python -m tests.benchmarks (make bench)."""

import importlib
from pathlib import Path


def main() -> None:
    """Run the `main` of every bench_*.py here."""
    for file in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"== {file.stem}", flush=True)
        importlib.import_module(f"tests.benchmarks.{file.stem}").main()


if __name__ == "__main__":
    main()
