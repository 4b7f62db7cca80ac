"""Compare stored records and chips with their digests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from service.identity.errors import NotFoundError, StoreDamagedError, StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.checks import RecordCheck
from service.maintenance.progress import Progress, ignore_progress

PAUSE_S = 0.05
"""Between two batches of the check beside a service."""


@dataclass(slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        records: how many records of each kind are in each state.
        chips: how many original chips are intact.
        damage: one line for each damaged record, and each lost or damaged chip.
    """

    records: dict[str, dict[str, int]] = field(default_factory=dict)
    chips: int = 0
    damage: list[str] = field(default_factory=list)


def check_all(
    archive: GalleryArchive,
    matches: MatchStore,
    chips: ChipStore,
    advance: Progress = ignore_progress,
) -> CheckResult:
    """Check all records of all bundles, and every chip that a sighting uses.

    Raises:
        StoreUnavailableError: a store cannot be read at all.
    """
    result = CheckResult()
    for batch in chain(archive.check_records(), matches.check_records()):
        for one in batch:
            states = result.records.setdefault(one.kind, {})
            state = "intact" if one.problem is None else "damaged"
            states[state] = states.get(state, 0) + 1
            if one.problem is not None:
                result.damage.append(f"{one.kind} {one.id}: {one.problem}")
        advance(len(batch))
    if result.damage:
        return result  # which chips are used is not known for certain
    for digest in sorted(archive.chips_shown()):
        try:
            chips.get(digest)
            result.chips += 1
        except (NotFoundError, StoreUnavailableError) as error:
            result.damage.append(f"chip {digest}: {error}")
        advance(1)
    return result


class RecordHealth:
    """Whether the last check beside a service found damaged records. Safe to call from threads."""

    def __init__(self) -> None:
        self.damaged: tuple[RecordCheck, ...] = ()

    def check(
        self, gallery: Gallery, matches: MatchStore, stopped: Callable[[float], bool]
    ) -> bool:
        """Check the records that a service uses, slowly; return False if it was stopped.

        Args:
            gallery: vessels, and the sightings of the served bundle.
            stopped: waits for so many seconds; returns whether to stop.

        Raises:
            StoreUnavailableError: a store cannot be read; what was known stays.
        """
        damaged: list[RecordCheck] = []
        batches: Iterator[list[RecordCheck]] = chain(
            gallery.check_records(), matches.check_records()
        )
        for batch in batches:
            damaged += [one for one in batch if one.problem is not None]
            if stopped(PAUSE_S):
                return False
        self.damaged = tuple(damaged)
        return True

    def require_intact(self) -> None:
        """Raise StoreDamagedError if the last check found damage."""
        if self.damaged:
            first = self.damaged[0]
            raise StoreDamagedError(
                f"{len(self.damaged)} stored records are damaged, the first is {first.kind} "
                f"{first.id}; stop the service, run `crossfix check`, and restore a backup"
            )
