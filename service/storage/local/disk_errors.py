"""Translate OSErrors of a disk into errors of a store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from service.identity.errors import StoreFullError, StoreUnavailableError


@contextmanager
def disk_errors(action: str) -> Iterator[None]:
    """Raise StoreFullError or StoreUnavailableError ("cannot `action`: …") for an OSError."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise StoreFullError(f"cannot {action}: the disk is full") from error
        raise StoreUnavailableError(f"cannot {action}: {error}") from error


def is_disk_full(error: BaseException) -> bool:
    """Return whether the disk, or this user's quota of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
