"""The version of Tessera, as in CITATION.cff."""

VERSION = "0.1.0"
