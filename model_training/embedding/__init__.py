"""Embed chips offline, with a bundle or with training checkpoints."""
