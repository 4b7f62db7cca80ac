"""Stores in a folder or in the memory of this process."""
