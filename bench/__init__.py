"""`make bench`: every speed in the pages, as ratios measured in one run."""
