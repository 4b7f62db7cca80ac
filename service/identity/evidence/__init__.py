"""Compute the probability and the checks of each candidate, and the verdict of a match."""
