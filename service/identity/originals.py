"""Original chips: there when a sighting shows them, forgotten or swept up when none does.

A chip is put before its sighting is written, so a failure in between leaves bytes that no sighting
shows. Putting a chip again makes it recent; what is recent is never swept.

Replicas share no lock. One that keeps a chip writes the sighting and then looks for the bytes
(`keep_shown`); one that forgets it deletes the bytes and then looks for sightings
(`forget_unused`). So of the two at least one sees what the other did, and whoever sees it puts the
bytes back: where the forgetting one found no sighting, it looked before the sighting was written,
so its deletion came before the keeping one's look.

The order leaves two gaps. Bytes that the forgetting one is about to put back are missing for that
moment. And where it deleted after the keeping one's look, but could not put them back (it was
killed, the store failed it, or the bytes were damaged when it read them and were healed since), an
acknowledged sighting is without its chip until the same chip is sent for its vessel again.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.contract.errors import CrossfixError
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.records.vessels import VesselState


class ShowsChips(Protocol):
    """What tells whether a chip is in use: a gallery or an archive."""

    def uses_chip(self, chip_sha256: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        chips: originals that are kept.
        unused: those that no sighting shows and that were put before the moment given.
        unused_bytes: their size together.
        removed: how many of them are gone now.
    """

    chips: int
    unused: int
    unused_bytes: int
    removed: int


def keep_shown(chips: ChipStore, digest: str, data: bytes) -> None:
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


def forget_unused(gallery: ShowsChips, chips: ChipStore, digest: str) -> bool:
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
def forgotten_when_full(
    gallery: ShowsChips, chips: ChipStore, digests: Collection[str]
) -> Iterator[None]:
    """When a store is full, chips that were put here go again, so that refusals fill no disk."""
    try:
        yield
    except StoreFullError:
        for digest in digests:
            with suppress(CrossfixError):
                forget_unused(gallery, chips, digest)
        raise


def sweep(
    archive: GalleryArchive,
    chips: ChipStore,
    before: datetime,
    remove: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> Swept:
    """Find originals that nothing refers to, and delete them if told so.

    Services may go on meanwhile: a chip that is put while this runs is recent and stays.

    Args:
        archive: the gallery with the sightings of every bundle.
        chips: the originals.
        before: only chips that were last put before this moment, UTC, by the store's clock; it
            lies further back than the longest request and the longest interrupted change.
        remove: whether to delete them; otherwise they are counted.
        advance: told how many originals were looked at, as they are.

    Raises:
        StoreUnavailableError, StoreFullError: what was deleted so far was unused.
    """
    kept = list(chips.stored())
    shown = archive.chips_shown() | _still_leaving(archive)
    unused = [one for one in kept if one.stored_at < before and one.sha256 not in shown]
    advance(len(kept) - len(unused))
    removed = 0
    for one in unused:
        if remove:
            removed += _gone(archive, chips, one.sha256, before)
        advance(1)
    return Swept(len(kept), len(unused), sum(one.size_bytes for one in unused), removed)


def _gone(archive: GalleryArchive, chips: ChipStore, digest: str, before: datetime) -> bool:
    try:
        if chips.stored_at(digest) >= before:
            return False
    except NotFoundError:
        return False
    return forget_unused(archive, chips, digest)


def _still_leaving(archive: GalleryArchive) -> set[str]:
    """Chips of changes under way; recovery decides about these."""
    return {
        digest
        for vessel in archive.vessels()
        if vessel.state is not VesselState.ACTIVE
        for digest in vessel.leaving_chips
    }
