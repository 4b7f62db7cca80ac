"""One IMO number, one vessel, and one replica at a time that registers it or judges a sighting.

Looking for a vessel and writing a new one are two steps; between them another replica could do the
same. So number and id are claimed first, which a store grants to one only, and given up when the
vessel is written and can be found. Who holds a claim for long renews it; one whose holder was
killed lapses. A holder that was held up for so long that its claim may have lapsed stops. What
could not be given up, because the store was away, the same process takes over at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import UUID, uuid4

from service.contract.errors import CrossfixError
from service.contract.utc_time import Clock
from service.identity.errors import ConflictError, StoreUnavailableError
from service.identity.ports.claims import ClaimStore
from service.identity.ports.gallery import Gallery
from service.identity.records.claims import NameClaim
from service.identity.records.vessels import Vessel

MAX_CLOCK_SKEW = timedelta(minutes=1)
"""The most that the clocks of two replicas may differ."""

NO_VESSEL = UUID(int=0)
"""In place of a vessel: who claims its id is about to settle what another left of it."""


def lease_lifetime(step: timedelta) -> timedelta:
    """When a change that was neither finished nor renewed was interrupted.

    A step that begins when the last renewal is one step ago ends before another replica, whose
    clock may be ahead, takes over.
    """
    return 2 * step + MAX_CLOCK_SKEW


class Lease:
    """Claims that one change holds; for one thread."""

    def __init__(
        self,
        claims: ClaimStore,
        now: Clock,
        step: timedelta,
        left: dict[str, NameClaim],
        done: str = "registered",
    ) -> None:
        """Hold nothing yet.

        Args:
            claims: where the claims are kept.
            now: the present, UTC.
            step: the longest time between two looks at the lease.
            left: claims of this process that ended and could not be given up, by name.
            done: what is done to the names that are claimed.
        """
        self._claims = claims
        self._now = now
        self._step = step
        self._left = left
        self._done = done
        self._held: dict[str, NameClaim] = {}

    def take(self, name: str, vessel_id: UUID, resumes: bool) -> None:
        """NameClaim a name; `resumes` tells whether a claim for the same vessel may be taken over.

        Raises:
            ConflictError: another claim stands.
        """
        claim = NameClaim(token=uuid4(), vessel_id=vessel_id, made_at=self._now())
        standing = self._claims.claim(name, claim, instead_of=None)
        if standing != claim:
            lapsed = claim.made_at - standing.made_at > lease_lifetime(self._step)
            own = name in self._left and self._left[name].token == standing.token
            if lapsed or own or (resumes and standing.vessel_id == vessel_id):
                standing = self._claims.claim(name, claim, instead_of=standing)
        if standing != claim:
            other = None if standing.vessel_id in (vessel_id, NO_VESSEL) else standing.vessel_id
            named = "" if other is None else f", as vessel {other}"
            raise ConflictError(
                f"{name} is being {self._done} right now{named}; ask again shortly", other
            )
        self._held[name] = claim

    def renew(self) -> None:
        """Before a step: renew what is half a step old. Raises as `confirm`."""
        now = self._now()
        if any(now - claim.made_at > self._step / 2 for claim in self._held.values()):
            self.confirm()

    def confirm(self) -> None:
        """Renew, and make sure that nobody has taken over.

        Raises:
            ConflictError: somebody has.
            StoreUnavailableError: it took so long that somebody may have, or the store failed.
        """
        for name, claim in self._held.items():
            renewed = claim.model_copy(update={"made_at": self._now()})
            if renewed.made_at - claim.made_at > self._step:
                raise StoreUnavailableError(
                    f"{name} could not be {self._done} in time: a store was too slow; ask again"
                )
            if not self._claims.renew(name, renewed):
                raise ConflictError(f"{name} is being {self._done} by another request; ask again")
            self._held[name] = renewed

    def release(self) -> None:
        for name, claim in self._held.items():
            self._left[name] = claim
            with suppress(CrossfixError):
                self._claims.release(name, claim)
                self._left.pop(name, None)


class Leases:
    """Claims IMO numbers and ids in the gallery for the time that a change takes."""

    def __init__(self, gallery: Gallery, claims: ClaimStore, now: Clock, step: timedelta) -> None:
        """`step` is the longest time that a few calls of the stores take."""
        self._gallery = gallery
        self._claims = claims
        self._now = now
        self._step = step
        self._left: dict[str, NameClaim] = {}

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
        with self._lease() as lease:
            lease.take(f"IMO {vessel.imo}", vessel.id, resumes=True)
            require_free_imo(self._gallery, vessel, giver)
            yield

    @contextmanager
    def registering(self, vessel: Vessel, resumes: bool) -> Iterator[Lease]:
        """Within, nobody else registers this vessel or its IMO number; the holder renews.

        Args:
            vessel: as it is to be written.
            resumes: whether who is at it already, perhaps no more, writes the same: then this
                request takes over, and the other one stops before its next step.

        Raises:
            ConflictError, StoreUnavailableError, StoreFullError: as `held`.
        """
        with self._lease() as lease:
            lease.take(f"vessel {vessel.id}", vessel.id, resumes)
            if vessel.imo is not None:
                lease.take(f"IMO {vessel.imo}", vessel.id, resumes=True)
                require_free_imo(self._gallery, vessel)
            yield lease

    @contextmanager
    def settling(self, vessel: Vessel) -> Iterator[Lease]:
        """Within, nobody registers this vessel.

        Raises:
            ConflictError: somebody does, or settles it.
        """
        with self._lease() as lease:
            lease.take(f"vessel {vessel.id}", NO_VESSEL, resumes=False)
            yield lease

    @contextmanager
    def judging(self, sighting_id: UUID) -> Iterator[Lease]:
        """Within, nobody else judges a match of this sighting; the holder renews.

        Raises:
            ConflictError: somebody does.
        """
        with self._lease("judged") as lease:
            lease.take(f"sighting {sighting_id}", NO_VESSEL, resumes=False)
            yield lease

    @contextmanager
    def _lease(self, done: str = "registered") -> Iterator[Lease]:
        lease = Lease(self._claims, self._now, self._step, self._left, done)
        try:
            yield lease
        finally:
            lease.release()


def require_free_imo(gallery: Gallery, vessel: Vessel, giver: Vessel | None = None) -> None:
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
