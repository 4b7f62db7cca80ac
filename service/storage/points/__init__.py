"""Payloads, filters and paging of Qdrant points, shared by the embedded and the server adapters."""
