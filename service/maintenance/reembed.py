"""Moving the gallery from one bundle to another: every sighting is embedded anew from its chip.

A sighting keeps its id. Services go on meanwhile: they change what is known of a sighting in every
bundle at once, and add new ones to the bundle they serve. So what is copied is looked at again
after it was written, and what is still missing at the end is carried over once more. Until that
second look a copy is marked as tentative, so that whoever comes after a run that was killed in
between takes it: a sighting that was deleted then must not come back.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.contract.decoding.decode import ChipLimits, decode_chip
from service.identity.errors import ConflictError, NotFoundError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel

BATCH = 16

Embed = Callable[[Sequence[Chip]], Sequence[NDArray[np.float32]]]
"""Chips -> unit vectors, float32 `[D]`, of the new bundle."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the sightings that one of `workers` takes; `number` counts from 0."""

    number: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.workers:
            raise ValueError(f"there is no share {self.number} of {self.workers}; count from 0")

    def holds(self, sighting_id: UUID) -> bool:
        return sighting_id.int % self.workers == self.number


class Reembedding:
    """From the bundle `source` to the bundle `target`; it can be stopped and begun again."""

    def __init__(
        self,
        archive: GalleryArchive,
        chips: ChipStore,
        embed: Embed,
        source: str,
        target: str,
        limits: ChipLimits | None = None,
    ) -> None:
        """`target` has been prepared in the archive; `limits` are those of the chips' upload."""
        self._archive = archive
        self._chips = chips
        self._embed = embed
        self._source = source
        self._target = target
        self._limits = limits or ChipLimits()

    def missing(self, without: frozenset[UUID] = frozenset()) -> list[UUID]:
        """Sightings of the source that the target lacks, in order of id, `without` some."""
        lacking = self._archive.sighting_ids(self._source) - self._archive.sighting_ids(
            self._target
        )
        return sorted(lacking - without)

    def of_others(self, share: Share) -> frozenset[UUID]:
        """What is missing now and other workers do.

        What is enrolled from now on is everybody's: who does its share may be done by then.
        """
        return frozenset(one for one in self.missing() if not share.holds(one))

    def carry(self, ids: Sequence[UUID], advance: Callable[[int], None] = lambda _: None) -> int:
        """Embed these sightings for the target; those that were deleted meanwhile are left out.

        Args:
            ids: sightings of the source.
            advance: told after each batch how many were looked at.

        Returns:
            how many sightings the target gained.

        Raises:
            ChipError, NotFoundError, StoreUnavailableError: a chip cannot be read.
            StoreFullError: there is no room.
        """
        gained = 0
        for batch in _batches(ids):
            embedded = self._embedded(batch)
            gained += self._settle(embedded)
            advance(len(batch))
        return gained

    def mend(self) -> None:
        """Look again at what a run wrote that was killed before it did.

        Another worker may be at it now; then it is done twice. What came from another bundle than
        the source stays as it is.
        """
        others = self._archive.bundles().keys() - {self._target}
        for batch in _batches(sorted(self._archive.tentative(self._target))):
            held = {i for one in others for i in self._archive.get_sightings(one, batch)}
            self._archive.drop_tentative(self._target, set(batch) - held)
            self.carry(sorted(self._archive.get_sightings(self._source, batch)))

    def left(self) -> list[UUID]:
        """What `carry` has still to do; sightings whose vessel is gone are nobody's any more."""
        return sorted(self._look(self.missing())[0])

    def switch(self) -> None:
        """Serve the target from now on.

        Raises:
            ConflictError: it lacks sightings of the source.
        """
        self.mend()
        if left := self.left():
            raise ConflictError(
                f"{len(left)} sightings have no embedding of bundle {self._target} yet; "
                "embed them before it is served"
            )
        self._archive.activate(self._target)

    def _embedded(self, ids: Sequence[UUID]) -> list[EmbeddedSighting]:
        known = self._archive.get_sightings(self._source, ids)
        shown = [(one, chip) for one in known.values() if (chip := self._chip(one)) is not None]
        vectors = self._embed([chip for _, chip in shown]) if shown else []
        return [
            EmbeddedSighting(one.model_copy(update={"bundle_id": self._target}), vector)
            for (one, _), vector in zip(shown, vectors, strict=True)
        ]

    def _chip(self, sighting: Sighting) -> Chip | None:
        """The sighting's chip; None when the sighting was deleted just now."""
        try:
            data = self._chips.get(sighting.chip_sha256)
        except NotFoundError:
            if self._archive.get_sightings(self._source, [sighting.id]):
                raise
            return None
        return decode_chip(
            data,
            modality=sighting.modality,
            gsd_m=sighting.gsd_m,
            band=sighting.band,
            limits=self._limits,
        )

    def _settle(self, embedded: list[EmbeddedSighting]) -> int:
        """Write until the source looks afterwards as it looked before."""
        by_id = {one.sighting.id: one for one in embedded}
        seen = self._look(by_id)
        while True:
            rows, owners = seen
            there = [
                EmbeddedSighting(one.sighting.model_copy(update={"vessel_id": rows[i]}), one.vector)
                for i, one in by_id.items()
                if i in rows
            ]
            self._archive.put_sightings(self._target, there, owners, tentative=True)
            self._archive.drop_tentative(self._target, by_id.keys() - rows.keys())
            again = self._look(by_id)
            if again == seen:
                self._archive.confirm_sightings(self._target, rows.keys())
                return len(there)
            seen = again

    def _look(self, ids: Collection[UUID]) -> tuple[dict[UUID, UUID | None], dict[UUID, Vessel]]:
        """Whose the sightings are now, without those that are gone or whose vessel is."""
        known = self._archive.get_sightings(self._source, list(ids))
        owners = self._archive.get_vessels({s.vessel_id for s in known.values() if s.vessel_id})
        return {
            i: one.vessel_id
            for i, one in known.items()
            if one.vessel_id is None or one.vessel_id in owners
        }, owners


def _batches(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch
