"""Find original chips that no sighting uses, and delete them."""

from dataclasses import dataclass
from datetime import datetime

from service.identity.errors import NotFoundError
from service.identity.original_chips import delete_unused_chip
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.records.vessels import VesselState
from service.maintenance.progress import Progress, ignore_progress


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        unused: chips that no sighting uses and that were stored before the given moment.
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
    advance: Progress = ignore_progress,
) -> SweepResult:
    """Find chips that no sighting uses, and delete them if `remove` is set.

    Services may run meanwhile: a chip that is stored during the sweep is recent and stays.

    Args:
        archive: the gallery with the sightings of every bundle.
        before: only chips that were last stored before this moment, UTC, by the store's clock; it
            must lie further back than the longest request and the longest interrupted change.
        remove: whether to delete the chips; otherwise they are counted.

    Raises:
        StoreUnavailableError, StoreFullError: the chips deleted so far were unused.
    """
    stored = list(chips.stored())
    used = archive.chips_shown() | _chips_of_changes_under_way(archive)
    unused = [chip for chip in stored if chip.stored_at < before and chip.sha256 not in used]
    advance(len(stored) - len(unused))
    removed = 0
    for chip in unused:
        if remove:
            removed += _delete_if_old(archive, chips, chip.sha256, before)
        advance(1)
    return SweepResult(len(stored), len(unused), sum(chip.size_bytes for chip in unused), removed)


def _delete_if_old(
    archive: GalleryArchive, chips: ChipStore, digest: str, before: datetime
) -> bool:
    """Delete the chip unless it was deleted, stored again or used in the meantime."""
    try:
        if chips.stored_at(digest) >= before:
            return False
    except NotFoundError:
        return False
    return delete_unused_chip(archive, chips, digest)


def _chips_of_changes_under_way(archive: GalleryArchive) -> set[str]:
    """Return the chips that a change under way adds or deletes; recovery decides about these."""
    return {
        digest
        for vessel in archive.vessels()
        if vessel.state is not VesselState.ACTIVE
        for digest in vessel.leaving_chips
    }
