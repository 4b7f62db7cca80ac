"""Does fusing optical embeddings with imagined SAR help? Measured on validation ships."""
