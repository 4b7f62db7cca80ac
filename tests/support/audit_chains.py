"""Audit chains to read, and what stands in them."""

from pathlib import Path

from service.storage.audit.check import read_entries
from service.storage.audit.log import open_audit_log

SMALL = 600
"""Bytes of a segment that holds few entries."""


def filled(root: Path, entries: int = 9, replica: str = "one", segment_bytes: int = SMALL) -> Path:
    """A closed chain of one opening and some matches, over several segments."""
    log = open_audit_log(root, replica, segment_bytes=segment_bytes)
    for number in range(entries):
        log.append({"action": "match", "number": number})
    log.close()
    return root / replica


def numbers(root: Path) -> list[int]:
    return [entry["number"] for _, entry in read_entries(root) if "number" in entry]
