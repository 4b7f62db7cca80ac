"""The analyst's desk: the files of a web page that uses nothing but the public API."""

from pathlib import Path

FILES = Path(__file__).parent / "files"
"""`index.html` is the page at `/`; all other files are served under `/desk/`."""
