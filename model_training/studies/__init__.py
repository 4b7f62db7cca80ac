"""Experiments on several models, runs or scenes, above training, evaluation and calibration."""
