"""Work on a whole gallery: backup, re-embedding, upgrade, sweep, readiness."""
