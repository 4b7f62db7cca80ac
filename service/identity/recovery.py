"""Finish or undo changes that a crash interrupted. None of them was acknowledged.

| state found | interrupted change | recovery |
|---|---|---|
| enrolling | a new vessel was being written | its sightings and the vessel are removed |
| enrolling, former_sightings | open sightings were being given to it | they become open again |
| enrolling, replaced | a deleted vessel was being registered anew | its tombstone comes back |
| enrolling, split_from | sightings were being split off | they go back to their former vessel |
| syncing | attributes were being changed | the sightings are refreshed, the vessel is active |
| syncing, former_sightings | a deletion was being undone | its sightings come back too |
| deleting | the vessel was being deleted | its sightings become open, a tombstone stays |
| deleting, merged_into | the vessel was being merged | the merge is finished |

If the other vessel of a merge or split was itself merged in the meantime, the vessel that it became
part of takes its place. If it was deleted, a merge is undone, and the sightings of a vessel being
split off become open.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

from service.identity.context import Context, UseCase
from service.identity.errors import ConflictError
from service.identity.leases import Leases, lease_lifetime
from service.identity.original_chips import delete_unused_chip
from service.identity.records.match_records import MatchFilter, Standing
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel, VesselState

SINGLE_WRITER_STEP = timedelta(days=1)
"""The step of a process that writes alone: no replica waits for its leases to lapse."""

INTERRUPTIBLE = (VesselState.ENROLLING, VesselState.SYNCING, VesselState.DELETING)


def no_renewal() -> None:
    """Do nothing, in place of renewing a lease where none is held."""


class Recovery(UseCase):
    """Finishes or undoes interrupted changes of vessels.

    Where other replicas write too, a change counts as interrupted when it began longer ago than a
    few steps can take, and an enrolment when its lease was not renewed for as long. Until then,
    sightings that a killed replica was splitting off or merging cannot be found.
    """

    def __init__(self, context: Context, step: timedelta | None) -> None:
        """`step` is the longest time that a few store calls take; None for a single writer."""
        super().__init__(context)
        self._grace = timedelta(0) if step is None else lease_lifetime(step)
        self.leases = Leases(
            context.gallery,
            context.claims,
            context.now,
            SINGLE_WRITER_STEP if step is None else step,
        )

    def run(self) -> int:
        """Finish or undo every interrupted change; return their number."""
        with self._write_lock:
            now = self._now()
            interrupted = [
                vessel
                for vessel in self._gallery.vessels_in_state(INTERRUPTIBLE)
                if now - vessel.updated_at >= self._grace
            ]
            return sum([self._settle_if_unchanged(vessel) for vessel in interrupted])

    def settle(self, vessel: Vessel, renew: Callable[[], None] = no_renewal) -> None:
        """Finish or undo one change; repeating it is harmless.

        Args:
            vessel: as it was found; to undo an enrolment, the caller holds its lease.
            renew: renews that lease, and is called before each step.
        """
        found: dict[str, object] = {"vessel_id": str(vessel.id), "found": vessel.state.value}
        with self._write_lock, self._trail.change("recover", **found):
            if vessel.state is VesselState.SYNCING:
                self.finish_sync(vessel)
            elif vessel.state is VesselState.DELETING and vessel.merged_into is not None:
                self.finish_merge(vessel)
            elif vessel.state is VesselState.DELETING:
                self.finish_delete(vessel)
            elif vessel.state is VesselState.ENROLLING:
                self._undo_enrolment(vessel, renew)

    def _settle_if_unchanged(self, vessel: Vessel) -> bool:
        """Settle the vessel, unless another request changes it or has changed it."""
        try:
            with ExitStack() as leased:
                renew = no_renewal
                if vessel.state is VesselState.ENROLLING:
                    renew = leased.enter_context(self.leases.for_recovery(vessel)).renew
                if self._gallery.get_vessels([vessel.id]).get(vessel.id) != vessel:
                    return False
                self.settle(vessel, renew)
        except ConflictError:
            return False
        return True

    def finish_sync(self, vessel: Vessel) -> Vessel:
        """Copy the vessel's attributes to its sightings, then make it active."""
        settled = vessel.model_copy(
            update={"state": VesselState.ACTIVE, "leaving_chips": (), "former_sightings": ()}
        )
        self._gallery.sync_vessel(settled)
        self._take_back(vessel.former_sightings, settled)
        self._delete_chips(vessel.leaving_chips)
        self._gallery.put_vessel(settled)
        return settled

    def finish_merge(self, vessel: Vessel) -> None:
        """Move the vessel's sightings to the survivor of the merge; leave a tombstone."""
        survivor = self.resolve_vessel(vessel.merged_into)
        if survivor is None:
            self.finish_sync(vessel.model_copy(update={"merged_into": None}))
            return
        self._move_sightings(vessel, survivor)
        self._delete_chips(vessel.leaving_chips)
        merged = {"state": VesselState.MERGED, "merged_into": survivor.id, "leaving_chips": ()}
        self._gallery.put_vessel(vessel.model_copy(update=merged))

    def finish_delete(self, vessel: Vessel) -> None:
        """Make the vessel's sightings open, and leave a tombstone that names them."""
        sightings = self._gallery.sightings_of([vessel.id])
        if sightings:
            vessel = with_former_sightings(vessel, sightings)
            self._gallery.put_vessel(vessel)
            self.reassign(sightings, None)
        self._delete_chips(vessel.leaving_chips)
        deleted = {"state": VesselState.DELETED, "leaving_chips": ()}
        self._gallery.put_vessel(vessel.model_copy(update=deleted))

    def reassign(
        self, sightings: Sequence[Sighting], vessel: Vessel | None, source: Vessel | None = None
    ) -> None:
        """Move sightings to another vessel, or to none; each keeps the vessel it first came from.

        Args:
            source: the vessel that a merge or split takes them from.
        """
        groups: dict[UUID | None, list[UUID]] = {}
        for one in sightings:
            origin = one.origin_vessel_id or (source.id if source else None)
            back = vessel is not None and origin == vessel.id
            groups.setdefault(None if back else origin, []).append(one.id)
        for origin, ids in groups.items():
            self._gallery.move_sightings(ids, vessel, origin)

    def resolve_vessel(self, vessel_id: UUID | None) -> Vessel | None:
        """Return the visible vessel with this id or the one it was merged into; None if deleted."""
        while vessel_id is not None:
            vessel = self._gallery.get_vessels([vessel_id]).get(vessel_id)
            if vessel is None or vessel.state.visible:
                return vessel
            vessel_id = vessel.merged_into
        return None

    def _delete_chips(self, digests: Iterable[str], renew: Callable[[], None] = no_renewal) -> None:
        for digest in digests:
            renew()
            delete_unused_chip(self._gallery, self._chips, digest)

    def _take_back(self, ids: Iterable[UUID], vessel: Vessel) -> None:
        """Move sightings back to a restored vessel, unless they were decided otherwise since."""
        found = [self._gallery.get_sighting(one) for one in ids]
        open_ones = [one for one in found if one is not None and one.vessel_id is None]
        self.reassign([one for one in open_ones if self._is_evidence(one.id)], vessel)

    def _is_evidence(self, sighting_id: UUID) -> bool:
        """Whether a sighting was enrolled, or a match of it is confirmed."""
        confirmed = MatchFilter(sighting_id=sighting_id, standing=Standing.CONFIRMED)
        return self._is_enrolled(sighting_id) or bool(
            self._matches.page(confirmed, 1, None).matches
        )

    def _undo_enrolment(self, vessel: Vessel, renew: Callable[[], None]) -> None:
        sightings = self._gallery.sightings_of([vessel.id])
        if vessel.replaced is not None:
            former = {*vessel.replaced.former_sightings}
            self.reassign([s for s in sightings if s.id in former], None)
            sightings = [s for s in sightings if s.id not in former]
        origin = self.resolve_vessel(vessel.split_from)
        if origin is not None:
            self._move_sightings(vessel, origin)
        elif vessel.split_from is not None:
            self._give_to_tombstone(vessel.split_from, sightings)
        elif vessel.former_sightings:
            self.reassign(sightings, None)
        else:
            self._gallery.delete_sightings([s.id for s in sightings])
            added = (*vessel.leaving_chips, *(s.chip_sha256 for s in sightings))
            self._delete_chips(dict.fromkeys(added), renew)
        renew()
        if vessel.replaced is not None:
            self._gallery.put_vessel(vessel.replaced)
        else:
            self._gallery.delete_vessel(vessel.id)

    def _give_to_tombstone(self, vessel_id: UUID, sightings: Sequence[Sighting]) -> None:
        """Make sightings open; restoring the deleted vessel that had them brings them back."""
        tombstone = self._gallery.get_vessels([vessel_id]).get(vessel_id)
        if tombstone is not None and tombstone.state is VesselState.DELETED:
            self._gallery.put_vessel(with_former_sightings(tombstone, sightings))
        self.reassign(sightings, None)

    def _move_sightings(self, source: Vessel, target: Vessel) -> None:
        """Move all sightings; of a chip that both vessels enrolled, the target's sighting stays."""
        enrolled = {s.chip_sha256 for s in self._gallery.sightings_of([target.id])}
        moved = self._gallery.sightings_of([source.id])
        twice = [s.id for s in moved if s.chip_sha256 in enrolled and self._is_enrolled(s.id)]
        self._gallery.delete_sightings(twice)
        self.reassign([s for s in moved if s.id not in set(twice)], target, source)

    def _is_enrolled(self, sighting_id: UUID) -> bool:
        """Whether no match asked about the sighting: evidence of a match is kept."""
        return not self._matches.page(MatchFilter(sighting_id=sighting_id), 1, None).matches


def being_enrolled(vessel: Vessel, replaced: Vessel | None, **more: object) -> Vessel:
    """Return a vessel as it is while its sightings are written.

    Args:
        replaced: the tombstone in whose place it is written, if there is one.
        more: what recovery needs to undo the change.
    """
    return vessel.model_copy(update={"state": VesselState.ENROLLING, "replaced": replaced, **more})


def is_enrolment_of(found: Vessel, vessel: Vessel, chips: Iterable[str]) -> bool:
    """Return whether a vessel is being enrolled with the same attributes and chips, digests."""
    return (
        found.state is VesselState.ENROLLING
        and found.split_from is None
        and found.attributes() == vessel.attributes()
        and set(found.leaving_chips) == set(chips)
    )


def replacement_notes(tombstone: Vessel | None) -> tuple[str, ...]:
    """Say what registering a deleted vessel anew means; nothing where there was none."""
    if tombstone is None:
        return ()
    return (
        f"vessel {tombstone.id} was deleted on {tombstone.updated_at:%Y-%m-%d}, and is registered "
        f"anew: its {len(tombstone.former_sightings)} former chips do not come back, and restore "
        "no longer undoes the deletion; send the files of those that belong to it",
    )


def with_former_sightings(vessel: Vessel, sightings: Iterable[Sighting]) -> Vessel:
    """Return a deleted vessel that remembers these sightings too."""
    former = sorted({*vessel.former_sightings, *(one.id for one in sightings)})
    return vessel.model_copy(update={"former_sightings": tuple(former)})
