"""`make bench`: measure every speed that the pages state, as ratios within one run."""
