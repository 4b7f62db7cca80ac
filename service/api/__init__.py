"""HTTP: the only importer of fastapi besides app.py."""
