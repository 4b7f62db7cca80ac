"""Worker processes for work on bytes that strangers sent."""
