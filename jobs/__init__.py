"""One self-contained stage a file: python -m jobs.<stage> --config FILE --out DIR."""
