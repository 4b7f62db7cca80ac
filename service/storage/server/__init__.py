"""The shared gallery: collections on a Qdrant server."""
