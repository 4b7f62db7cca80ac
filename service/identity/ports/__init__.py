"""Protocols of the stores and models that the use cases need, one subject a file."""
