"""Move the gallery from one bundle to another: embed every sighting again from its chip.

A sighting keeps its id. Services run meanwhile: they change a sighting in every bundle at once, and
add new sightings to the bundle that they serve. So the source is read again after a copy was
written, and sightings that are missing at the end are embedded once more. Until that second look, a
copy is marked as tentative, so that a later run finds the copies of a run that was killed in
between: a sighting that was deleted then must not come back.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.batches import in_batches
from service.contract.chip import Chip
from service.contract.decoding.decode import decode_chip
from service.contract.framing.apply import frame_again
from service.identity.errors import ConflictError, NotFoundError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.chips import ChipStore
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.maintenance.progress import Progress, ignore_progress

BATCH = 16

Embed = Callable[[Sequence[Chip]], Sequence[NDArray[np.float32]]]
"""Chips -> unit vectors, float32 `[D]`, of the new bundle."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the sightings that one of `workers` embeds; `number` counts from 0."""

    number: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.workers:
            raise ValueError(f"there is no share {self.number} of {self.workers}; count from 0")

    def holds(self, sighting_id: UUID) -> bool:
        """Return whether the sighting belongs to this share."""
        return sighting_id.int % self.workers == self.number


class Reembedding:
    """Moves from the bundle `source` to the bundle `target`; it can be stopped and resumed."""

    def __init__(
        self, archive: GalleryArchive, chips: ChipStore, embed: Embed, source: str, target: str
    ) -> None:
        """`target` has been prepared in the archive."""
        self._archive = archive
        self._chips = chips
        self._embed = embed
        self._source = source
        self._target = target

    def missing(self, excluding: frozenset[UUID] = frozenset()) -> list[UUID]:
        """Return the sightings of the source that the target lacks, in order of id."""
        in_source = self._archive.sighting_ids(self._source)
        return sorted(in_source - self._archive.sighting_ids(self._target) - excluding)

    def shares_of_others(self, share: Share) -> frozenset[UUID]:
        """Return the sightings that are missing now and belong to other workers.

        Sightings enrolled later are left to every worker: theirs may have finished by then.
        """
        return frozenset(one for one in self.missing() if not share.holds(one))

    def embed(self, ids: Sequence[UUID], advance: Progress = ignore_progress) -> int:
        """Embed these sightings for the target; leave out those deleted in the meantime.

        Args:
            advance: receives the number of sightings processed, after each batch.

        Returns:
            the number of sightings that the target gained.

        Raises:
            ChipError, NotFoundError, StoreUnavailableError: a chip cannot be read.
            StoreFullError: there is no space.
        """
        gained = 0
        for batch in in_batches(ids, BATCH):
            gained += self._write_until_stable(self._embedded(batch))
            advance(len(batch))
        return gained

    def redo_tentative(self) -> None:
        """Embed again the sightings that an interrupted run left as tentative.

        Another worker may be embedding them now; then they are embedded twice. Sightings that came
        from another bundle than the source stay as they are.
        """
        others = self._archive.bundles().keys() - {self._target}
        for batch in in_batches(sorted(self._archive.tentative(self._target)), BATCH):
            exists = {i for bundle in others for i in self._archive.get_sightings(bundle, batch)}
            self._archive.drop_tentative(self._target, set(batch) - exists)
            self.embed(sorted(self._archive.get_sightings(self._source, batch)))

    def remaining(self) -> list[UUID]:
        """Return the missing sightings without those whose vessel was deleted."""
        return sorted(self._read_owners(self.missing())[0])

    def switch(self) -> None:
        """Serve the target; raise ConflictError if it lacks sightings of the source."""
        self.redo_tentative()
        if remaining := self.remaining():
            raise ConflictError(
                f"{len(remaining)} sightings have no embedding of bundle {self._target} yet; "
                "embed them before it is served"
            )
        self._archive.activate(self._target)

    def _embedded(self, ids: Sequence[UUID]) -> list[EmbeddedSighting]:
        known = self._archive.get_sightings(self._source, ids)
        decoded = [(one, chip) for one in known.values() if (chip := self._chip(one)) is not None]
        vectors = self._embed([chip for _, chip in decoded]) if decoded else []
        return [
            EmbeddedSighting(one.model_copy(update={"bundle_id": self._target}), vector)
            for (one, _), vector in zip(decoded, vectors, strict=True)
        ]

    def _chip(self, sighting: Sighting) -> Chip | None:
        """Return the sighting's chip, framed as it was when it was sent.

        None when the sighting was deleted in the meantime.
        """
        try:
            data = self._chips.get(sighting.chip_sha256)
        except NotFoundError:
            if self._archive.get_sightings(self._source, [sighting.id]):
                raise
            return None
        chip = decode_chip(
            data, modality=sighting.modality, gsd_m=sighting.gsd_m, band=sighting.band
        )
        return frame_again(chip, sighting.framing)

    def _write_until_stable(self, embedded: list[EmbeddedSighting]) -> int:
        """Write until the source is the same after writing as before; return the number written."""
        by_id = {one.sighting.id: one for one in embedded}
        before = self._read_owners(by_id)
        while True:
            vessel_ids, owners = before
            existing = [
                EmbeddedSighting(
                    one.sighting.model_copy(update={"vessel_id": vessel_ids[i]}), one.vector
                )
                for i, one in by_id.items()
                if i in vessel_ids
            ]
            self._archive.put_sightings(self._target, existing, owners, tentative=True)
            self._archive.drop_tentative(self._target, by_id.keys() - vessel_ids.keys())
            after = self._read_owners(by_id)
            if after == before:
                self._archive.confirm_sightings(self._target, vessel_ids.keys())
                return len(existing)
            before = after

    def _read_owners(
        self, ids: Collection[UUID]
    ) -> tuple[dict[UUID, UUID | None], dict[UUID, Vessel]]:
        """Return the vessel id of each existing sighting, and the vessels.

        Sightings that were deleted, or whose vessel was deleted, are left out.
        """
        known = self._archive.get_sightings(self._source, list(ids))
        owners = self._archive.get_vessels({s.vessel_id for s in known.values() if s.vessel_id})
        vessel_ids = {
            i: one.vessel_id
            for i, one in known.items()
            if one.vessel_id is None or one.vessel_id in owners
        }
        return vessel_ids, owners
