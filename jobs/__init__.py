"""One self-contained stage a file, in the folders of the studies: `python -m jobs` lists them."""
