"""What replicas share through Redis: embeddings, rate limits, idempotent answers."""
