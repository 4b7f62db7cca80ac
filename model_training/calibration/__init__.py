"""Fit probabilities and verdict thresholds on simulated searches, and measure them."""
