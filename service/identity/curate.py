"""Changing what is registered: correct, remove, merge, split. Crash-safe, see `recovery.py`."""

from collections.abc import Collection, Sequence
from uuid import UUID, uuid4

from pydantic import Field

from service.contract.utc_time import UtcTime
from service.identity.audit_trail import chips_and_ids, ids
from service.identity.context import Context
from service.identity.enrol import DEFAULT_SOURCE, EnrolledVessel, get_visible_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.records.vessels import (
    ATTRIBUTE_NAMES,
    Provenance,
    Vessel,
    VesselAttributes,
    VesselState,
)
from service.identity.recovery import Recovery


class VesselPatch(VesselAttributes):
    """New values for some attributes; an explicit null makes an attribute unknown."""

    source: str | None = Field(None, max_length=500)
    as_of: UtcTime | None = None

    def changes(self) -> dict[str, object]:
        """The attributes that were sent, null included."""
        sent = self.model_fields_set & set(ATTRIBUTE_NAMES)
        return self.model_dump(include=sent)


class Curation:
    """The use cases behind `PATCH`, `DELETE`, `merge` and `split` of the gallery."""

    def __init__(self, context: Context, recovery: Recovery) -> None:
        self._gallery = context.gallery
        self._now = context.now
        self._write_lock = context.write_lock
        self._trail = context.trail
        self._recovery = recovery
        self._leases = recovery.leases

    def update(self, vessel_id: UUID, patch: VesselPatch) -> Vessel:
        """Change attributes and remember where the new values came from.

        Raises:
            NotFoundError: no such vessel.
            ConflictError: another vessel carries the new IMO number.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            changes = patch.changes()
            if not changes:
                raise InvalidRequestError("nothing to change was sent")
            changed = self._with_changes(known, changes, patch)
            said = patch.model_dump(mode="json", include=set(changes))
            with (
                self._leases.held(changed, before=known),
                self._trail.change("update", vessel_id=str(vessel_id), said=said),
            ):
                self._gallery.put_vessel(changed)
                return self._recovery.finish_sync(changed)

    def delete(self, vessel_id: UUID) -> None:
        """Remove a vessel, its sightings, and chips that nothing else refers to.

        Raises:
            NotFoundError: no such vessel.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            sightings = self._gallery.sightings_of([vessel_id])
            leaving = self._in_state(
                known,
                VesselState.DELETING,
                leaving_chips=_leaving(known, [s.chip_sha256 for s in sightings]),
            )
            asked = {"vessel_id": str(vessel_id), "sightings": chips_and_ids(sightings)}
            with self._trail.change("delete", **asked):
                self._gallery.put_vessel(leaving)
                self._recovery.finish_delete(leaving)

    def remove_chip(self, vessel_id: UUID, sighting_id: UUID) -> None:
        """Remove one sighting of a vessel.

        Raises:
            NotFoundError: no such vessel, or the sighting is not one of this vessel.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            sighting = self._gallery.get_sighting(sighting_id)
            if sighting is None or sighting.vessel_id != vessel_id:
                raise NotFoundError(f"vessel {vessel_id} has no sighting {sighting_id}")
            losing = self._in_state(
                known, VesselState.SYNCING, leaving_chips=_leaving(known, [sighting.chip_sha256])
            )
            asked = {"vessel_id": str(vessel_id), "sightings": chips_and_ids([sighting])}
            with self._trail.change("remove-chip", **asked):
                self._gallery.put_vessel(losing)
                self._gallery.delete_sightings([sighting_id])
                self._recovery.finish_sync(losing)

    def merge(self, survivor_id: UUID, other_id: UUID) -> EnrolledVessel:
        """Two records turn out to be one ship: `other` becomes part of `survivor`.

        The survivor's attributes stay; what it does not know it learns from the other.

        Raises:
            NotFoundError: one of them is not registered.
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
            learnt = self._learn(survivor, other)
            leaving = self._in_state(other, VesselState.DELETING, merged_into=survivor_id)
            asked = {"vessel_id": str(survivor_id), "other_id": str(other_id)}
            with (
                self._leases.held(learnt, before=survivor, giver=other),
                self._trail.change("merge", **asked) as result,
            ):
                self._gallery.put_vessel(leaving)
                self._gallery.put_vessel(learnt)
                self._recovery.finish_merge(leaving)
                merged = self._with_sightings(self._recovery.finish_sync(learnt), created=False)
                result["sightings"] = chips_and_ids(merged.sightings)
            return merged

    def split(
        self, vessel_id: UUID, sighting_ids: Sequence[UUID], attributes: VesselPatch
    ) -> EnrolledVessel:
        """Some sightings of a vessel turn out to be another ship: they become a new vessel.

        Raises:
            NotFoundError: no such vessel, or a sighting is not one of this vessel.
            InvalidRequestError: no sighting was named, or all of them.
            ConflictError: another vessel carries the IMO number.
        """
        with self._write_lock:
            known = get_visible_vessel(self._gallery, vessel_id)
            own = {s.id for s in self._gallery.sightings_of([vessel_id])}
            asked = set(sighting_ids)
            if strangers := asked - own:
                raise NotFoundError(f"vessel {vessel_id} has no sighting {min(strangers)}")
            if not asked or asked == own:
                raise InvalidRequestError("name some sightings of the vessel, but not all of them")
            now = self._now()
            blank = Vessel(id=uuid4(), created_at=now, updated_at=now, split_from=known.id)
            new = self._with_changes(blank, attributes.changes(), attributes)
            moved = {"vessel_id": str(known.id), "new_id": str(new.id), "moved": ids(asked)}
            with self._leases.held(new), self._trail.change("split", **moved):
                self._gallery.put_vessel(self._in_state(new, VesselState.ENROLLING))
                self._gallery.move_sightings(sorted(asked), new)
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
        return vessel.model_copy(
            update={
                **changes,
                "provenance": provenance,
                "updated_at": now,
                "state": VesselState.SYNCING,
            }
        )

    def _learn(self, survivor: Vessel, other: Vessel) -> Vessel:
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


def _leaving(vessel: Vessel, digests: Collection[str]) -> tuple[str, ...]:
    """These chips, and those that an interrupted change of the vessel was to forget."""
    return tuple(sorted({*vessel.leaving_chips, *digests}))
