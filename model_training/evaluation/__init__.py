"""Measure models: retrieval metrics, evaluation, loose and coarse chips, cost of runs."""
