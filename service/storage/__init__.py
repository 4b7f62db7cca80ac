"""Adapters of the ports: Qdrant Edge or server, a folder of chips, Redis."""
