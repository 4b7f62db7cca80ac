"""Embeddings, rate limits and idempotency keys that replicas share through Redis."""
