"""Adapters of the ports in `identity`: Qdrant, SQLite, folders, S3, Redis, the audit log."""
