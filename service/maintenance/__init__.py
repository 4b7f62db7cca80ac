"""Use cases on a whole gallery: backup, restore, re-embedding, retention, sweep, check."""
