"""Refuse writes to a disk that is nearly full."""

import shutil
from pathlib import Path

from service.identity.errors import StoreFullError
from service.storage.local.disk_errors import disk_errors

MIN_FREE_BYTES = 128 * 2**20
"""Room that a write of Qdrant Edge may need at once: two log segments of 32 MiB and two chunks of
vectors."""


def require_room(folder: Path) -> None:
    """Check that the disk of a folder has `MIN_FREE_BYTES` left.

    Raises:
        StoreFullError: it has less.
        StoreUnavailableError: the folder cannot be reached.
    """
    with disk_errors(f"reach the store in {folder}"):
        free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise StoreFullError(
            f"the disk of {folder} has {free >> 20} MiB left and a write may need "
            f"{MIN_FREE_BYTES >> 20}; nothing was written"
        )
