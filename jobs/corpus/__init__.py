"""Near-duplicates in a corpus: tokens, suffix array, exact duplicates, scan."""
