"""Store and delete original chips, so that every sighting has its chip.

A chip is stored before its sighting is written, so a failure in between leaves bytes that no
sighting uses; `crossfix sweep` deletes them. Storing a chip again renews its time, and chips that
were stored recently are never swept.

Replicas share no lock. The writer stores the chip, writes the sighting and then reads the bytes
back (`restore_missing_chip`); the deleter deletes the bytes and then looks for sightings
(`delete_unused_chip`). So at least one of the two notices the other, and stores the bytes again:
where the deleter found no sighting, it looked before the sighting was written, so the deletion
came before the writer read the bytes back.

Two gaps remain. Between the deletion and the deleter's second look, the bytes are missing. And if
the deleter deletes after the writer read the bytes back, but cannot store them again (it was
killed, the store failed, or it had read damaged bytes that were replaced since), an acknowledged
sighting lacks its chip until the same chip is sent for its vessel again.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from service.contract.errors import CrossfixError
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.ports.chips import ChipStore


class ChipUsage(Protocol):
    """Tells whether a sighting uses a chip: a gallery or an archive."""

    def uses_chip(self, chip_sha256: str) -> bool:
        """Return whether any sighting uses these bytes."""


def restore_missing_chip(chips: ChipStore, digest: str, data: bytes) -> None:
    """Store the bytes of a chip again if they are missing or damaged.

    The bytes are read, because a shared file system may list a deleted file for a while.

    Raises:
        StoreUnavailableError, StoreFullError: the bytes are not stored; the sighting must not be
            acknowledged.
    """
    try:
        chips.get(digest)
    except (NotFoundError, StoreUnavailableError):
        chips.put(data)


def delete_unused_chip(gallery: ChipUsage, chips: ChipStore, digest: str) -> bool:
    """Delete a chip that no sighting uses; return whether it is gone.

    Looks for sightings again after the deletion: if one was written in the meantime, the bytes are
    stored again. A chip that is not there is not deleted, because it could not be stored again.
    """
    if gallery.uses_chip(digest):
        return False
    data = None
    try:
        data = chips.get(digest)
    except NotFoundError:
        return True
    except StoreUnavailableError:
        pass  # Damaged bytes are deleted too; if the store is down, `delete` raises.
    chips.delete(digest)
    if data is not None and gallery.uses_chip(digest):
        chips.put(data)
        return False
    return True


@contextmanager
def delete_unused_when_full(
    gallery: ChipUsage, chips: ChipStore, digests: Collection[str]
) -> Iterator[None]:
    """Delete the chips stored within if a store is full, so that failed requests use no disk."""
    try:
        yield
    except StoreFullError:
        for digest in digests:
            with suppress(CrossfixError):
                delete_unused_chip(gallery, chips, digest)
        raise
