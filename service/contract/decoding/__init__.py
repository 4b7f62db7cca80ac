"""Decode chip files: check their layout, read their samples, interpret the samples."""
