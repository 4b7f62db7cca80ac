"""Tables of embeddings and facts, which searches of the embedded gallery use."""
