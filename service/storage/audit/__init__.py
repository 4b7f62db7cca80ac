"""The audit log: hash-chained entries in segment files, and their verification."""
