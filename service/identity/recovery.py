"""Finishing or undoing changes that a crash interrupted. None of them was acknowledged.

| state found | what happened | what is done |
|---|---|---|
| enrolling | a new vessel was being written | its sightings and the vessel are removed |
| enrolling, split_from | sightings were being split off | they go back where they came from |
| syncing | attributes were being changed | the sightings are refreshed, the vessel is active |
| deleting | the vessel was being removed | the removal is finished |
| deleting, merged_into | it was being merged | the merge is finished |

Where a vessel at the other end was itself merged meanwhile, the vessel that it became part of takes
its place. Where it was deleted, a merge is undone, and what was being split off it is removed too.
"""

import threading
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from service.identity.observe import Clock
from service.identity.originals import forget_unused
from service.identity.ports import ChipStore, Gallery
from service.identity.records import Vessel, VesselState
from service.identity.trail import Trail

UNSETTLED = (VesselState.ENROLLING, VesselState.SYNCING, VesselState.DELETING)


class Recovery:
    """Brings every vessel to rest.

    `grace` is how long an enrolment may be under way before it counts as interrupted: zero where
    this process is the only writer, minutes where other replicas may be writing chips. Other
    changes are a few requests to the gallery, so `brief_grace` can be shorter; until it is over
    what a killed replica was splitting off or merging cannot be found.
    """

    def __init__(
        self,
        gallery: Gallery,
        chips: ChipStore,
        now: Clock,
        writing: threading.RLock,
        grace: timedelta,
        trail: Trail | None = None,
        brief_grace: timedelta | None = None,
    ) -> None:
        """What is settled is recorded in `trail`, if there is one."""
        self._gallery = gallery
        self._chips = chips
        self._now = now
        self._writing = writing
        self._grace = grace
        self._brief_grace = grace if brief_grace is None else brief_grace
        self._trail = trail or Trail.unrecorded()

    def run(self) -> int:
        """Settle every interrupted change; returns how many there were."""
        with self._writing:
            now = self._now()
            interrupted = [
                vessel
                for vessel in self._gallery.vessels_in_state(UNSETTLED)
                if now - vessel.updated_at >= self._patience(vessel)
            ]
            for vessel in interrupted:
                self.settle(vessel)
            return len(interrupted)

    def settle(self, vessel: Vessel) -> None:
        """Finish or undo one change; repeating it is harmless."""
        found: dict[str, object] = {"vessel_id": str(vessel.id), "found": vessel.state.value}
        with self._writing, self._trail.change("recover", **found):
            if vessel.state is VesselState.SYNCING:
                self.finish_sync(vessel)
            elif vessel.state is VesselState.DELETING and vessel.merged_into is not None:
                self.finish_merge(vessel)
            elif vessel.state is VesselState.DELETING:
                self.finish_delete(vessel)
            elif vessel.state is VesselState.ENROLLING:
                self._undo_enrolment(vessel)

    def _patience(self, vessel: Vessel) -> timedelta:
        enrols = vessel.state is VesselState.ENROLLING and vessel.split_from is None
        return self._grace if enrols else self._brief_grace

    def finish_sync(self, vessel: Vessel) -> Vessel:
        """Refresh what the sightings know of the vessel, then make it active."""
        settled = vessel.model_copy(update={"state": VesselState.ACTIVE, "leaving_chips": ()})
        self._gallery.sync_vessel(settled)
        self._forget_chips(vessel.leaving_chips)
        self._gallery.put_vessel(settled)
        return settled

    def finish_merge(self, vessel: Vessel) -> None:
        """Give the vessel's sightings to the one it was merged into; leave a signpost."""
        survivor = self._heir(vessel.merged_into)
        if survivor is None:
            self.finish_sync(vessel.model_copy(update={"merged_into": None}))
            return
        self._hand_over(vessel, survivor)
        self._forget_chips(vessel.leaving_chips)
        merged = {
            "state": VesselState.MERGED,
            "merged_into": survivor.id,
            "leaving_chips": (),
        }
        self._gallery.put_vessel(vessel.model_copy(update=merged))

    def finish_delete(self, vessel: Vessel) -> None:
        """Remove the vessel's sightings, bytes that nothing refers to any more, and the vessel."""
        sightings = self._gallery.sightings_of([vessel.id])
        self._gallery.delete_sightings([s.id for s in sightings])
        self._forget_chips({*vessel.leaving_chips, *(s.chip_sha256 for s in sightings)})
        self._gallery.delete_vessel(vessel.id)

    def _forget_chips(self, digests: Iterable[str]) -> None:
        for digest in digests:
            forget_unused(self._gallery, self._chips, digest)

    def _undo_enrolment(self, vessel: Vessel) -> None:
        origin = self._heir(vessel.split_from)
        if origin is not None:
            self._hand_over(vessel, origin)
        self.finish_delete(vessel)

    def _heir(self, vessel_id: UUID | None) -> Vessel | None:
        """The vessel, or the one that it became part of; None when it was deleted."""
        while vessel_id is not None:
            vessel = self._gallery.get_vessels([vessel_id]).get(vessel_id)
            if vessel is None or vessel.state.visible:
                return vessel
            vessel_id = vessel.merged_into
        return None

    def _hand_over(self, vessel: Vessel, heir: Vessel) -> None:
        """Give a vessel's sightings to another one; of a chip that both have, one stays."""
        have = {s.chip_sha256 for s in self._gallery.sightings_of([heir.id])}
        mine = self._gallery.sightings_of([vessel.id])
        self._gallery.delete_sightings([s.id for s in mine if s.chip_sha256 in have])
        self._gallery.move_sightings([s.id for s in mine if s.chip_sha256 not in have], heir)
