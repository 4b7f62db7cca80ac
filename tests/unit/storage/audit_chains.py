"""Audit chains to read, and what stands in them."""

from pathlib import Path

from service.storage.audit import open_audit_log
from service.storage.audit_check import read_entries

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
