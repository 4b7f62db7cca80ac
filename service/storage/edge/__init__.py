"""The embedded gallery: Qdrant Edge in this process, on a folder."""
