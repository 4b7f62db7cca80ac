"""Chips -> embeddings offline, from a bundle or from a training checkpoint."""
