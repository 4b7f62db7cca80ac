"""`make bench`: every speed that the README states, as ratios measured in one run."""
