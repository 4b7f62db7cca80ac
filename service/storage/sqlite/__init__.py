"""Records without vectors in SQLite files: their number takes disk, and no memory."""
