"""Read chip files: check their layout, decode them, and interpret their samples."""
