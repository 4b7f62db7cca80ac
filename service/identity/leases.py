"""Leases on IMO numbers, vessels, query sightings and tasks: one change at a time has each.

Looking for a vessel and writing a new one are two steps; in between, another replica could write
the same vessel. So the change first claims the IMO number and the id, which a store grants to one
claimant only, and releases them when the vessel is written and can be found. The holder of a long
lease renews it; a lease whose holder was killed lapses. A holder that was delayed for so long that
its lease may have lapsed stops. A claim that could not be released, because the store was down, can
be taken over at once by the same process.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import StrEnum
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
"""The vessel id of a claim that registers no vessel: for recovery, a judgement or a task."""


class Task(StrEnum):
    """What one replica at a time does beside the requests; the values name the claims."""

    ASKING_AGAIN = "open sightings"
    GROUPING = "groups of open sightings"
    ANNOUNCING = "new matches"


def vessel_claim(vessel_id: UUID) -> str:
    """Return the name of the claim on a vessel."""
    return f"vessel {vessel_id}"


def lease_lifetime(step: timedelta) -> timedelta:
    """Return after how long a lease that was not renewed lapses.

    A step that begins when the last renewal is one step old ends before another replica, whose
    clock may be ahead, takes over.
    """
    return 2 * step + MAX_CLOCK_SKEW


class Lease:
    """The claims that one change holds. Used by one thread."""

    def __init__(
        self,
        claims: ClaimStore,
        now: Clock,
        step: timedelta,
        unreleased: dict[str, NameClaim],
        action: str,
    ) -> None:
        """Start without any claim.

        Args:
            step: the longest time between two renewals.
            unreleased: claims of this process that ended and could not be released, by name.
            action: what happens to the claimed names, for messages.
        """
        self._claims = claims
        self._now = now
        self._step = step
        self._unreleased = unreleased
        self._action = action
        self._held: dict[str, NameClaim] = {}

    def take(self, name: str, vessel_id: UUID, resumes: bool) -> None:
        """Claim a name; if it `resumes`, a claim for the same vessel may be taken over.

        Raises:
            ConflictError: another claim stands.
        """
        claim = NameClaim(token=uuid4(), vessel_id=vessel_id, made_at=self._now())
        standing = self._claim(name, claim, None)
        if standing != claim:
            lapsed = claim.made_at - standing.made_at > lease_lifetime(self._step)
            unreleased = self._unreleased.get(name)
            own = unreleased is not None and unreleased.token == standing.token
            if lapsed or own or (resumes and standing.vessel_id == vessel_id):
                standing = self._claim(name, claim, standing)
        if standing != claim:
            other = None if standing.vessel_id in (vessel_id, NO_VESSEL) else standing.vessel_id
            other_vessel = "" if other is None else f", as vessel {other}"
            raise ConflictError(
                f"{name} is being {self._action} right now{other_vessel}; try again shortly", other
            )
        self._held[name] = claim

    def _claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        """Claim a name; remember a claim that may have been made although the store failed."""
        try:
            return self._claims.claim(name, claim, instead_of=instead_of)
        except CrossfixError:
            self._unreleased[name] = claim
            raise

    def token(self, name: str) -> UUID:
        """Return the token of a claim that is held."""
        return self._held[name].token

    def renew(self) -> None:
        """Renew the claims if one is half a step old; call it before a step.

        Raises:
            ConflictError, StoreUnavailableError: see `confirm`.
        """
        now = self._now()
        if any(now - claim.made_at > self._step / 2 for claim in self._held.values()):
            self.confirm()

    def confirm(self) -> None:
        """Renew the claims, and make sure that no other request has taken one over.

        Raises:
            ConflictError: another request has taken one over.
            StoreUnavailableError: the last renewal is so long ago that a claim may have lapsed, or
                the store failed.
        """
        for name, claim in self._held.items():
            renewed = claim.model_copy(update={"made_at": self._now()})
            if renewed.made_at - claim.made_at > self._step:
                raise StoreUnavailableError(
                    f"{name} could not be {self._action} in time: a store was too slow; try again"
                )
            if not self._claims.renew(name, renewed):
                raise ConflictError(f"{name} is being {self._action} by another request; try again")
            self._held[name] = renewed

    def release(self) -> None:
        """Release the claims; remember those that the store could not release."""
        for name, claim in self._held.items():
            self._unreleased[name] = claim
            with suppress(CrossfixError):
                self._claims.release(name, claim)
                self._unreleased.pop(name, None)


class Leases:
    """Takes leases on IMO numbers, vessels and sightings for the duration of a change.

    Every lease raises ConflictError if another request holds one of the names or another vessel
    carries the IMO number, and StoreUnavailableError or StoreFullError if the store failed; then
    nothing was changed.
    """

    def __init__(self, gallery: Gallery, claims: ClaimStore, now: Clock, step: timedelta) -> None:
        """`step` is the longest time that a few store calls take."""
        self._gallery = gallery
        self._claims = claims
        self._now = now
        self._step = step
        self._unreleased: dict[str, NameClaim] = {}

    @contextmanager
    def for_imo_change(
        self, vessel: Vessel, before: Vessel | None = None, giver: Vessel | None = None
    ) -> Iterator[None]:
        """Hold the vessel's IMO number, after checking that no other vessel carries it.

        Two requests for the same vessel do not block each other: they write the same number.

        Args:
            vessel: as it is to be written; without a number no lease is taken.
            before: as it is now; if it has the number already, no lease is taken.
            giver: a vessel that hands its number over to this one.
        """
        if vessel.imo is None or (before is not None and before.imo == vessel.imo):
            yield
            return
        with self._lease() as lease:
            lease.take(f"IMO {vessel.imo}", vessel.id, resumes=True)
            require_free_imo(self._gallery, vessel, giver)
            yield

    @contextmanager
    def for_registration(self, vessel: Vessel, resumes: bool) -> Iterator[Lease]:
        """Hold the vessel's id and IMO number; the caller renews the lease.

        Args:
            resumes: whether the present holder, if there is one, writes the same vessel: then this
                request takes over, and the former holder stops before its next step.
        """
        with self._lease() as lease:
            lease.take(vessel_claim(vessel.id), vessel.id, resumes)
            if vessel.imo is not None:
                lease.take(f"IMO {vessel.imo}", vessel.id, resumes=True)
                require_free_imo(self._gallery, vessel)
            yield lease

    @contextmanager
    def for_recovery(self, vessel: Vessel) -> Iterator[Lease]:
        """Hold the id of a vessel whose interrupted enrolment is undone."""
        with self._lease() as lease:
            lease.take(vessel_claim(vessel.id), NO_VESSEL, resumes=False)
            yield lease

    @contextmanager
    def for_judgement(self, *sighting_ids: UUID) -> Iterator[Lease]:
        """Hold query sightings while a match of them is judged; the caller renews the lease."""
        with self._lease("judged") as lease:
            for sighting_id in sorted(sighting_ids):
                lease.take(f"sighting {sighting_id}", NO_VESSEL, resumes=False)
            yield lease

    @contextmanager
    def for_task(self, task: Task) -> Iterator[Lease]:
        """Hold a task; the caller renews the lease."""
        with self._lease("worked on") as lease:
            lease.take(task.value, NO_VESSEL, resumes=False)
            yield lease

    @contextmanager
    def _lease(self, action: str = "registered") -> Iterator[Lease]:
        lease = Lease(self._claims, self._now, self._step, self._unreleased, action)
        try:
            yield lease
        finally:
            lease.release()


def require_free_imo(gallery: Gallery, vessel: Vessel, giver: Vessel | None = None) -> None:
    """Raise ConflictError if a visible vessel, other than these two, has the IMO number."""
    if vessel.imo is None:
        return
    own = {vessel.id} if giver is None else {vessel.id, giver.id}
    for other in gallery.find_by_imo(vessel.imo):
        if other.id not in own and other.state.visible:
            name = f" ({other.name})" if other.name else ""
            raise ConflictError(
                f"IMO {vessel.imo} is registered already, as vessel {other.id}{name}; "
                "add chips to that vessel, or correct the number",
                other.id,
            )
