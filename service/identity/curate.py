"""Correct, delete, restore, merge and split vessels.

`recovery.py` finishes what a crash interrupts.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from service.contract.utc_time import PastTime
from service.identity.audit_trail import Facts, chips_and_ids
from service.identity.context import Context, UseCase
from service.identity.enrol import DEFAULT_SOURCE, EnrolledVessel, get_visible_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.records.base import Fact
from service.identity.records.vessels import (
    ATTRIBUTE_NAMES,
    Provenance,
    Vessel,
    VesselAttributes,
    VesselState,
    require_longer_than_wide,
)
from service.identity.recovery import Recovery

RESTORABLE_FOR = timedelta(days=30)
STAYED_AWAY = (
    "{} of its {} former chips did not come back: they got another vessel, their match was "
    "rejected or withdrawn, or they were removed"
)


class VesselPatch(VesselAttributes):
    """New values for some attributes; an explicit null makes an attribute unknown."""

    source: Fact | None = None
    as_of: PastTime | None = None

    def changes(self) -> dict[str, object]:
        """Return the attributes that were sent, null included."""
        sent = self.model_fields_set & set(ATTRIBUTE_NAMES)
        return self.model_dump(include=sent)


class Curation(UseCase):
    """The use cases behind `PATCH`, `DELETE`, `restore`, `merge` and `split` of the gallery."""

    def __init__(
        self, context: Context, recovery: Recovery, restorable_for: timedelta = RESTORABLE_FOR
    ) -> None:
        """A deletion can be undone for as long as `restorable_for`."""
        super().__init__(context)
        self._recovery = recovery
        self._leases = recovery.leases
        self._restorable_for = restorable_for

    def update(self, vessel_id: UUID, patch: VesselPatch) -> Vessel:
        """Change attributes and record the source of the new values.

        Raises:
            NotFoundError: no such vessel.
            ConflictError: another vessel carries the new IMO number.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            changes = patch.changes()
            if not changes:
                raise InvalidRequestError("no attribute to change was sent")
            changed = self._with_changes(known, changes, patch)
            sent = patch.model_dump(mode="json", include=set(changes))
            with (
                self._leases.for_imo_change(changed, before=known),
                self._trail.change("update", vessel_id=str(vessel_id), attributes=sent),
            ):
                self._gallery.put_vessel(changed)
                return self._recovery.finish_sync(changed)

    def delete(self, vessel_id: UUID) -> None:
        """Delete a vessel; its sightings and chips stay, without a vessel.

        Raises:
            NotFoundError: no such vessel.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            sightings = self._gallery.sightings_of([vessel_id])
            deleting = self._in_state(known, VesselState.DELETING)
            facts: Facts = {"vessel_id": str(vessel_id), "sightings": chips_and_ids(sightings)}
            with self._trail.change("delete", **facts):
                self._gallery.put_vessel(deleting)
                self._recovery.finish_delete(deleting)

    def restore(self, vessel_id: UUID) -> EnrolledVessel:
        """Undo the deletion of a vessel: it gets back the sightings that are open still.

        A sighting whose match was rejected or withdrawn in the meantime stays open. Restoring a
        vessel that was not deleted changes nothing.

        Raises:
            NotFoundError: no such vessel.
            ConflictError: it was deleted too long ago, or another vessel carries its IMO number.
        """
        with self._write_lock:
            found = self._gallery.get_vessels([vessel_id]).get(vessel_id)
            if found is None or found.state is not VesselState.DELETED:
                known = get_visible_vessel(self._gallery, vessel_id)
                return self._with_sightings(known, created=False)
            if self._now() - found.updated_at > self._restorable_for:
                raise ConflictError(
                    f"vessel {vessel_id} was deleted on {found.updated_at:%Y-%m-%d}; a deletion "
                    f"can be undone for {self._restorable_for / timedelta(days=1):g} days"
                )
            restoring = self._in_state(found, VesselState.SYNCING)
            with (
                self._leases.for_imo_change(restoring),
                self._trail.change("restore", vessel_id=str(vessel_id)) as result,
            ):
                self._gallery.put_vessel(restoring)
                active = self._recovery.finish_sync(restoring)
                restored = self._with_sightings(active, created=False)
                back = {one.id for one in restored.sightings}
                if missing := len({*restoring.former_sightings} - back):
                    note = STAYED_AWAY.format(missing, len(restoring.former_sightings))
                    restored = replace(restored, notes=(note,))
                result["sightings"] = chips_and_ids(restored.sightings)
            return restored

    def remove_chip(self, vessel_id: UUID, sighting_id: UUID) -> None:
        """Remove one sighting of a vessel.

        Raises:
            NotFoundError: no such vessel, or the vessel has no such sighting.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            sighting = self._gallery.get_sighting(sighting_id)
            if sighting is None or sighting.vessel_id != vessel_id:
                raise NotFoundError(f"vessel {vessel_id} has no sighting {sighting_id}")
            syncing = self._in_state(
                known,
                VesselState.SYNCING,
                # With those that an interrupted change of the vessel has yet to delete.
                leaving_chips=tuple(sorted({*known.leaving_chips, sighting.chip_sha256})),
            )
            facts: Facts = {"vessel_id": str(vessel_id), "sightings": chips_and_ids([sighting])}
            with self._trail.change("remove-chip", **facts):
                self._gallery.put_vessel(syncing)
                self._gallery.delete_sightings([sighting_id])
                self._recovery.finish_sync(syncing)

    def merge(self, survivor_id: UUID, other_id: UUID) -> EnrolledVessel:
        """Merge two vessels that turn out to be one ship: `other` becomes part of `survivor`.

        The survivor keeps its attributes; unknown ones are taken from the other vessel.

        Raises:
            NotFoundError: one of the vessels is not registered.
            InvalidRequestError: both are the same vessel.
            ConflictError: both carry an IMO number, and they differ.
        """
        if survivor_id == other_id:
            raise InvalidRequestError("a vessel cannot be merged with itself")
        with self._write_lock:
            survivor = get_visible_vessel(self._gallery, survivor_id)
            other = get_visible_vessel(self._gallery, other_id)
            if survivor.imo and other.imo and survivor.imo != other.imo:
                raise ConflictError(
                    f"the vessels carry different IMO numbers ({survivor.imo}, {other.imo}); "
                    "correct one of them first",
                    other.id,
                )
            completed = self._complete(survivor, other)
            deleting = self._in_state(other, VesselState.DELETING, merged_into=survivor_id)
            facts = {"vessel_id": str(survivor_id), "other_id": str(other_id)}
            with (
                self._leases.for_imo_change(completed, before=survivor, giver=other),
                self._trail.change("merge", **facts) as result,
            ):
                self._gallery.put_vessel(deleting)
                self._gallery.put_vessel(completed)
                self._recovery.finish_merge(deleting)
                merged = self._with_sightings(self._recovery.finish_sync(completed), created=False)
                result["sightings"] = chips_and_ids(merged.sightings)
            return merged

    def split(
        self, vessel_id: UUID, sighting_ids: Sequence[UUID], attributes: VesselPatch
    ) -> EnrolledVessel:
        """Split off some sightings that turn out to show another ship: they become a new vessel.

        Raises:
            NotFoundError: no such vessel, or the vessel has no such sighting.
            InvalidRequestError: none or all of the sightings were named.
            ConflictError: another vessel carries the IMO number.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            sightings = self._gallery.sightings_of([vessel_id])
            own = {s.id for s in sightings}
            chosen = set(sighting_ids)
            if unknown := chosen - own:
                raise NotFoundError(f"vessel {vessel_id} has no sighting {min(unknown)}")
            if not chosen or chosen == own:
                raise InvalidRequestError("name some sightings of the vessel, but not all of them")
            now = self._now()
            blank = Vessel(id=uuid4(), created_at=now, updated_at=now, split_from=known.id)
            new = self._with_changes(blank, attributes.changes(), attributes)
            facts: Facts = {
                "vessel_id": str(known.id),
                "new_id": str(new.id),
                "moved": sorted(map(str, chosen)),
            }
            with self._leases.for_imo_change(new), self._trail.change("split", **facts):
                self._gallery.put_vessel(self._in_state(new, VesselState.ENROLLING))
                self._recovery.reassign([s for s in sightings if s.id in chosen], new, known)
                active = self._in_state(new, VesselState.ACTIVE)
                self._gallery.put_vessel(active)
                return self._with_sightings(active, created=True)

    def _with_changes(
        self, vessel: Vessel, changes: dict[str, object], patch: VesselPatch
    ) -> Vessel:
        now = self._now()
        origin = Provenance(source=patch.source or DEFAULT_SOURCE, as_of=patch.as_of or now)
        provenance = {
            name: origin if name in changes else old
            for name, old in (vessel.provenance | dict.fromkeys(changes, origin)).items()
        }
        changed = vessel.model_copy(
            update={
                **changes,
                "provenance": provenance,
                "updated_at": now,
                "state": VesselState.SYNCING,
            }
        )
        try:
            require_longer_than_wide(changed)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        return changed

    def _complete(self, survivor: Vessel, other: Vessel) -> Vessel:
        missing = {
            name: getattr(other, name)
            for name in ATTRIBUTE_NAMES
            if getattr(survivor, name) is None and getattr(other, name) is not None
        }
        provenance = survivor.provenance | {
            name: other.provenance[name] for name in missing if name in other.provenance
        }
        return survivor.model_copy(
            update={
                **missing,
                "provenance": provenance,
                "updated_at": self._now(),
                "state": VesselState.SYNCING,
            }
        )

    def _in_state(self, vessel: Vessel, state: VesselState, **more: object) -> Vessel:
        return vessel.model_copy(update={"state": state, "updated_at": self._now(), **more})

    def _with_sightings(self, vessel: Vessel, created: bool) -> EnrolledVessel:
        return EnrolledVessel(vessel, self._gallery.sightings_of([vessel.id]), created)
