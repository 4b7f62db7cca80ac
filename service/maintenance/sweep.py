"""Find original chips that no sighting shows, and delete them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.identity.errors import NotFoundError
from service.identity.original_chips import delete_unused_chip
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.records.vessels import VesselState


@dataclass(frozen=True, slots=True)
class SweepResult:
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


def sweep(
    archive: GalleryArchive,
    chips: ChipStore,
    before: datetime,
    remove: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> SweepResult:
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
    return SweepResult(len(kept), len(unused), sum(one.size_bytes for one in unused), removed)


def _gone(archive: GalleryArchive, chips: ChipStore, digest: str, before: datetime) -> bool:
    try:
        if chips.stored_at(digest) >= before:
            return False
    except NotFoundError:
        return False
    return delete_unused_chip(archive, chips, digest)


def _still_leaving(archive: GalleryArchive) -> set[str]:
    """Chips of changes under way; recovery decides about these."""
    return {
        digest
        for vessel in archive.vessels()
        if vessel.state is not VesselState.ACTIVE
        for digest in vessel.leaving_chips
    }
