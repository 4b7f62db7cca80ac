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

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

from service.identity.context import Context
from service.identity.errors import ConflictError
from service.identity.leases import Leases, lease_lifetime
from service.identity.original_chips import delete_unused_chip
from service.identity.records.vessels import Vessel, VesselState

ALONE = timedelta(days=1)
"""A step of a process that nobody waits for."""

UNSETTLED = (VesselState.ENROLLING, VesselState.SYNCING, VesselState.DELETING)


def nothing() -> None:
    """In place of a renewal where nothing was claimed."""


class Recovery:
    """Brings every vessel to rest.

    Where other replicas write, too, a change counts as interrupted when it began longer ago than a
    few steps can take, and an enrolment when its claim was not renewed for as long; until then what
    a killed replica was splitting off or merging cannot be found.
    """

    def __init__(self, context: Context, step: timedelta | None) -> None:
        """`step` is the longest time that a few calls of the stores take.

        It is None where this process is the only writer.
        """
        self._gallery = context.gallery
        self._chips = context.chips
        self._now = context.now
        self._write_lock = context.write_lock
        self._trail = context.trail
        self._grace = timedelta(0) if step is None else lease_lifetime(step)
        self.leases = Leases(
            context.gallery, context.claims, context.now, ALONE if step is None else step
        )

    def run(self) -> int:
        """Settle every interrupted change; returns how many there were."""
        with self._write_lock:
            now = self._now()
            interrupted = [
                vessel
                for vessel in self._gallery.vessels_in_state(UNSETTLED)
                if now - vessel.updated_at >= self._grace
            ]
            return sum([self._settled(vessel) for vessel in interrupted])

    def settle(self, vessel: Vessel, renew: Callable[[], None] = nothing) -> None:
        """Finish or undo one change; repeating it is harmless.

        Args:
            vessel: as it was found; whoever undoes an enrolment has claimed it.
            renew: called again and again while that claim is needed.
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

    def _settled(self, vessel: Vessel) -> bool:
        """Settle it, unless somebody else is or was at it."""
        try:
            with ExitStack() as claimed:
                renew = nothing
                if vessel.state is VesselState.ENROLLING:
                    renew = claimed.enter_context(self.leases.settling(vessel)).renew
                if self._gallery.get_vessels([vessel.id]).get(vessel.id) != vessel:
                    return False
                self.settle(vessel, renew)
        except ConflictError:
            return False
        return True

    def finish_sync(self, vessel: Vessel) -> Vessel:
        """Refresh what the sightings know of the vessel, then make it active."""
        settled = vessel.model_copy(update={"state": VesselState.ACTIVE, "leaving_chips": ()})
        self._gallery.sync_vessel(settled)
        self._forget_chips(vessel.leaving_chips)
        self._gallery.put_vessel(settled)
        return settled

    def finish_merge(self, vessel: Vessel) -> None:
        """Give the vessel's sightings to the one it was merged into; leave a signpost."""
        survivor = self.heir(vessel.merged_into)
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

    def finish_delete(self, vessel: Vessel, renew: Callable[[], None] = nothing) -> None:
        """Remove the vessel's sightings, bytes that nothing refers to any more, and the vessel."""
        sightings = self._gallery.sightings_of([vessel.id])
        self._gallery.delete_sightings([s.id for s in sightings])
        self._forget_chips({*vessel.leaving_chips, *(s.chip_sha256 for s in sightings)}, renew)
        renew()
        self._gallery.delete_vessel(vessel.id)

    def heir(self, vessel_id: UUID | None) -> Vessel | None:
        """The visible vessel, or the one that it became part of; None when there is none."""
        while vessel_id is not None:
            vessel = self._gallery.get_vessels([vessel_id]).get(vessel_id)
            if vessel is None or vessel.state.visible:
                return vessel
            vessel_id = vessel.merged_into
        return None

    def _forget_chips(self, digests: Iterable[str], renew: Callable[[], None] = nothing) -> None:
        for digest in digests:
            renew()
            delete_unused_chip(self._gallery, self._chips, digest)

    def _undo_enrolment(self, vessel: Vessel, renew: Callable[[], None]) -> None:
        origin = self.heir(vessel.split_from)
        if origin is not None:
            self._hand_over(vessel, origin)
        self.finish_delete(vessel, renew)

    def _hand_over(self, vessel: Vessel, heir: Vessel) -> None:
        """Give a vessel's sightings to another one; of a chip that both have, one stays."""
        have = {s.chip_sha256 for s in self._gallery.sightings_of([heir.id])}
        mine = self._gallery.sightings_of([vessel.id])
        self._gallery.delete_sightings([s.id for s in mine if s.chip_sha256 in have])
        self._gallery.move_sightings([s.id for s in mine if s.chip_sha256 not in have], heir)
