"""The embedded gallery: Qdrant Edge in this process, in a folder."""
