"""Measure on validation ships whether fusing optical embeddings with pseudo-SAR helps."""
