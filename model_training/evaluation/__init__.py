"""Measure models: retrieval metrics, evaluation, ablation, cost of runs."""
