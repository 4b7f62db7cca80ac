"""Original chips: there when a sighting shows them, forgotten or swept up when none does.

A chip is put before its sighting is written, so a failure in between leaves bytes that no sighting
shows. Putting a chip again makes it recent; what is recent is never swept.

Replicas share no lock. One that keeps a chip writes the sighting and then looks for the bytes
(`restore_missing_chip`); one that forgets it deletes the bytes and then looks for sightings
(`delete_unused_chip`). So of the two at least one sees what the other did, and whoever sees it puts the
bytes back: where the forgetting one found no sighting, it looked before the sighting was written,
so its deletion came before the keeping one's look.

The order leaves two gaps. Bytes that the forgetting one is about to put back are missing for that
moment. And where it deleted after the keeping one's look, but could not put them back (it was
killed, the store failed it, or the bytes were damaged when it read them and were healed since), an
acknowledged sighting is without its chip until the same chip is sent for its vessel again.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from service.contract.errors import CrossfixError
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.ports.chips import ChipStore


class ShowsChips(Protocol):
    """What tells whether a chip is in use: a gallery or an archive."""

    def uses_chip(self, chip_sha256: str) -> bool: ...


def restore_missing_chip(chips: ChipStore, digest: str, data: bytes) -> None:
    """Put the bytes of a chip that a sighting shows by now again, unless they are there and whole.

    They are read, because a shared file system may tell of a deleted file for a while.

    Raises:
        StoreUnavailableError, StoreFullError: they are not there; the sighting must not be
            acknowledged.
    """
    try:
        chips.get(digest)
    except (NotFoundError, StoreUnavailableError):
        chips.put(data)


def delete_unused_chip(gallery: ShowsChips, chips: ChipStore, digest: str) -> bool:
    """Delete a chip that no sighting shows; False when it stays.

    Looks again after the deletion: where a sighting came to show it meanwhile, the bytes are put
    back. What is not there is not deleted, because there would be nothing to put back.
    """
    if gallery.uses_chip(digest):
        return False
    data = None
    try:
        data = chips.get(digest)
    except NotFoundError:
        return True
    except StoreUnavailableError:
        pass  # damaged bytes go too; of a store that is away the deletion tells
    chips.delete(digest)
    if data is not None and gallery.uses_chip(digest):
        chips.put(data)
        return False
    return True


@contextmanager
def delete_unused_when_full(
    gallery: ShowsChips, chips: ChipStore, digests: Collection[str]
) -> Iterator[None]:
    """When a store is full, chips that were put here go again, so that refusals fill no disk."""
    try:
        yield
    except StoreFullError:
        for digest in digests:
            with suppress(CrossfixError):
                delete_unused_chip(gallery, chips, digest)
        raise
