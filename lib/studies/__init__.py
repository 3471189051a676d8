"""One collector a kind of study; a sweep names its own in `tables:`."""
