"""One IMO number, one vessel, also where several replicas register at the same instant.

Looking for a vessel with the number and writing a new one are two steps; between them another
replica could do the same. So the number is claimed first, which a store grants to one only, and
given up when the vessel is written and can be found. A claim whose holder was killed lapses.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import uuid4

from service.contract.errors import CrossfixError
from service.identity.errors import ConflictError
from service.identity.observe import Clock
from service.identity.ports import Gallery
from service.identity.records import Claim, Vessel

LAPSES_AFTER = timedelta(minutes=10)
"""Longer than the longest request, plus what the clocks of replicas may differ by."""


class ImoClaims:
    """Claims IMO numbers in the gallery for the time that a change takes."""

    def __init__(self, gallery: Gallery, now: Clock) -> None:
        self._gallery = gallery
        self._now = now

    @contextmanager
    def held(
        self, vessel: Vessel, before: Vessel | None = None, giver: Vessel | None = None
    ) -> Iterator[None]:
        """Within, nobody else can register a vessel with this IMO number, and nobody has.

        Two requests for the same vessel do not hinder each other: they write the same.

        Args:
            vessel: as it is to be written; without a number it needs no claim.
            before: as it is now; where it has the number already, nothing is claimed.
            giver: a vessel that gives its number to this one.

        Raises:
            ConflictError: another vessel carries the number, or is being given it.
            StoreUnavailableError, StoreFullError: the store failed; nothing was changed.
        """
        if vessel.imo is None or (before is not None and before.imo == vessel.imo):
            yield
            return
        claim = Claim(token=uuid4(), vessel_id=vessel.id, made_at=self._now())
        self._take(vessel.imo, claim)
        try:
            refuse_known_imo(self._gallery, vessel, giver)
            yield
        finally:
            with suppress(CrossfixError):
                self._gallery.give_up(vessel.imo, claim)

    def _take(self, imo: str, claim: Claim) -> None:
        standing = self._gallery.claim(imo, claim, instead_of=None)
        if standing != claim and self._may_be_replaced(standing, claim):
            standing = self._gallery.claim(imo, claim, instead_of=standing)
        if standing != claim:
            raise ConflictError(
                f"IMO {imo} is being registered right now, as vessel {standing.vessel_id}; ask "
                "again shortly",
                standing.vessel_id,
            )

    def _may_be_replaced(self, standing: Claim, claim: Claim) -> bool:
        lapsed = claim.made_at - standing.made_at > LAPSES_AFTER
        return lapsed or standing.vessel_id == claim.vessel_id


def refuse_known_imo(gallery: Gallery, vessel: Vessel, giver: Vessel | None = None) -> None:
    """Raises ConflictError, naming the visible vessel other than the giver that has its number."""
    if vessel.imo is None:
        return
    own = {vessel.id} if giver is None else {vessel.id, giver.id}
    for other in gallery.find_by_imo(vessel.imo):
        if other.id not in own and other.state.visible:
            named = f" ({other.name})" if other.name else ""
            raise ConflictError(
                f"IMO {vessel.imo} is registered already, as vessel {other.id}{named}; "
                "add chips to that vessel, or correct the number",
                other.id,
            )
