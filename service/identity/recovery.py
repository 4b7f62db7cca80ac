"""Finishing or undoing changes that a crash interrupted. None of them was acknowledged.

| state found | what happened | what is done |
|---|---|---|
| enrolling | a new vessel was being written | its sightings and the vessel are removed |
| enrolling, split_from | sightings were being split off | they go back where they came from |
| syncing | attributes were being changed | the sightings are refreshed, the vessel is active |
| deleting | the vessel was being removed | the removal is finished |
| deleting, merged_into | it was being merged | the merge is finished |
"""

import threading
from collections.abc import Iterable
from datetime import timedelta

from service.identity.observe import Clock
from service.identity.ports import ChipStore, Gallery
from service.identity.records import Vessel, VesselState

UNSETTLED = (VesselState.ENROLLING, VesselState.SYNCING, VesselState.DELETING)


class Recovery:
    """Brings every vessel to rest.

    `grace` is how long a change may be under way before it counts as interrupted: zero where this
    process is the only writer, minutes where other replicas may be at work.
    """

    def __init__(
        self,
        gallery: Gallery,
        chips: ChipStore,
        now: Clock,
        writing: threading.RLock,
        grace: timedelta,
    ) -> None:
        self._gallery = gallery
        self._chips = chips
        self._now = now
        self._writing = writing
        self._grace = grace

    def run(self) -> int:
        """Settle every interrupted change; returns how many there were."""
        with self._writing:
            oldest = self._now() - self._grace
            interrupted = [
                vessel
                for vessel in self._gallery.vessels_in_state(UNSETTLED)
                if vessel.updated_at <= oldest
            ]
            for vessel in interrupted:
                self.settle(vessel)
            return len(interrupted)

    def settle(self, vessel: Vessel) -> None:
        """Finish or undo one change; repeating it is harmless."""
        with self._writing:
            if vessel.state is VesselState.SYNCING:
                self.finish_sync(vessel)
            elif vessel.state is VesselState.DELETING and vessel.merged_into is not None:
                self.finish_merge(vessel)
            elif vessel.state is VesselState.DELETING:
                self.finish_delete(vessel)
            elif vessel.state is VesselState.ENROLLING:
                self._undo_enrolment(vessel)

    def finish_sync(self, vessel: Vessel) -> Vessel:
        """Refresh what the sightings know of the vessel, then make it active."""
        settled = vessel.model_copy(update={"state": VesselState.ACTIVE, "leaving_chips": ()})
        self._gallery.sync_vessel(settled)
        self._forget_chips(vessel.leaving_chips)
        self._gallery.put_vessel(settled)
        return settled

    def finish_merge(self, vessel: Vessel) -> None:
        """Give the vessel's sightings to the one it was merged into; leave a signpost."""
        if vessel.merged_into is None:
            raise ValueError(f"vessel {vessel.id} is not being merged")
        survivor = self._gallery.get_vessels([vessel.merged_into])[vessel.merged_into]
        have = {s.chip_sha256 for s in self._gallery.sightings_of([survivor.id])}
        mine = self._gallery.sightings_of([vessel.id])
        twins = [s.id for s in mine if s.chip_sha256 in have]
        self._gallery.delete_sightings(twins)
        self._gallery.move_sightings([s.id for s in mine if s.id not in set(twins)], survivor)
        self._gallery.put_vessel(vessel.model_copy(update={"state": VesselState.MERGED}))

    def finish_delete(self, vessel: Vessel) -> None:
        """Remove the vessel's sightings, bytes that nothing refers to any more, and the vessel."""
        sightings = self._gallery.sightings_of([vessel.id])
        self._gallery.delete_sightings([s.id for s in sightings])
        self._forget_chips(vessel.leaving_chips)
        self._gallery.delete_vessel(vessel.id)

    def _forget_chips(self, digests: Iterable[str]) -> None:
        for digest in digests:
            if not self._gallery.uses_chip(digest):
                self._chips.delete(digest)

    def _undo_enrolment(self, vessel: Vessel) -> None:
        if vessel.split_from is not None:
            origin = self._gallery.get_vessels([vessel.split_from])[vessel.split_from]
            moved = self._gallery.sightings_of([vessel.id])
            self._gallery.move_sightings([s.id for s in moved], origin)
            self._gallery.delete_vessel(vessel.id)
        else:
            self.finish_delete(vessel)
