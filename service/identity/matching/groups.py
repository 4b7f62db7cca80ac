"""The groups of open sightings: list them, keep sightings apart, register some as a new vessel.

Order of writes of a registration: the vessel as `enrolling`, which names the sightings that it is
to take; the confirmations of their matches as unsettled; the sightings; the vessel as `active`; the
matches as settled. Until the vessel is active, recovery undoes all of it: the sightings become
open, the vessel is removed, and then the unsettled confirmations find no vessel and are removed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.identity.audit_trail import chips_and_ids
from service.identity.context import Context, UseCase
from service.identity.enrol import EnrolledVessel, NewVessel, described_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.leases import Lease, vessel_claim
from service.identity.matching.grouping import RecordedFacts, recorded_facts
from service.identity.records.match_records import MatchRecord, Standing
from service.identity.records.sightings import GroupedSighting, GroupPlace, Sighting
from service.identity.records.vessels import Vessel, VesselState
from service.identity.recovery import INTERRUPTIBLE, Recovery, being_enrolled, replacement_notes
from service.identity.review import MatchReview

MAX_TOGETHER = 100
"""The largest number of sightings that one request names."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """An open sighting of a group, its newest match, and its place in the group."""

    sighting: Sighting
    match_id: UUID
    place: GroupPlace


@dataclass(frozen=True, slots=True)
class SightingGroup:
    """Open sightings that may show one ship, in order of recording.

    `probability` is the lowest of its pairs; None if all were sent as chips of one ship. `chips`
    is the number of different chips.
    """

    id: UUID
    members: Sequence[GroupMember]
    probability: float | None
    chips: int


@dataclass(frozen=True, slots=True)
class GroupPage:
    """One page of groups; `total` is the number of all groups."""

    groups: Sequence[SightingGroup]
    total: int
    next_cursor: str | None


class SightingGroups(UseCase):
    """The use cases behind `/sightings/open`."""

    def __init__(self, context: Context, recovery: Recovery, review: MatchReview) -> None:
        super().__init__(context)
        self._recovery = recovery
        self._leases = recovery.leases
        self._review = review

    def page(self, limit: int, cursor: str | None) -> GroupPage:
        """List the groups of two and more chips: those of most chips first, then the latest.

        Raises:
            InvalidRequestError: no page returned this cursor.
        """
        sizes = {group: chips for group, chips in self._gallery.group_sizes().items() if chips > 1}
        keys = sorted(((chips, group) for group, chips in sizes.items()), reverse=True)
        after = None if cursor is None else _parse(cursor)
        rest = keys if after is None else [key for key in keys if key < after]
        shown = rest[:limit]
        members: dict[UUID, list[GroupedSighting]] = {group: [] for _, group in shown}
        for one in self._gallery.members_of(members):
            members[one.place.group_id].append(one)
        groups = [self._group(group, found) for group, found in members.items()]
        more = len(rest) > limit
        last = f"{shown[-1][0]}.{shown[-1][1]}" if more else None
        return GroupPage([one for one in groups if one.chips > 1], len(keys), last)

    def mark_different(
        self, sighting_ids: Collection[UUID], others: Collection[UUID], different: bool
    ) -> None:
        """Record that each of these sightings shows another ship than all others of the request.

        Args:
            sighting_ids: the sightings, which also differ from each other.
            others: sightings that may show one ship among themselves.
            different: False withdraws an earlier record.

        Raises:
            NotFoundError: a sighting is not open, or has no match.
            InvalidRequestError: fewer than two sightings, or too many.
            ConflictError: another request decides about one of the sightings.
            StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        named, rest = set(sighting_ids), set(others) - set(sighting_ids)
        every = named | rest
        _require_number(every, at_least=2)
        facts = {
            "sightings": sorted(map(str, named)),
            "others": sorted(map(str, rest)),
            "different": different,
        }
        with self._write_lock, self._leases.for_judgement(*every) as lease:
            self._review.finish_interrupted(sorted(every), lease)
            known = {one: self._open(one)[1] for one in sorted(every)}
            with self._trail.change("mark-different", **facts):
                self._gallery.compare_anew(every)
                for one in sorted(every):
                    lease.renew()
                    self._write_apart(
                        known[one], (every if one in named else named) - {one}, different
                    )

    def enrol(self, sighting_ids: Collection[UUID], new: NewVessel) -> EnrolledVessel:
        """Register a vessel with open sightings as its own, and confirm their matches with it.

        Chips that were sent with one of them as chips of one ship come along. A repeated request
        changes nothing.

        Raises:
            NotFoundError: a sighting is not open, or has no match.
            InvalidRequestError: no sighting, or too many.
            ConflictError: a sighting has a vessel, another vessel carries the IMO number, or
                another request works on one of the sightings.
            StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        named = sorted(set(sighting_ids))
        _require_number(named, at_least=1)
        vessel = described_vessel(new, list(map(str, named)), self._now())
        with self._write_lock:
            done = self._registered(vessel, named)
            if done is not None:
                return done
            self._undo_interrupted(vessel.id)
            every = sorted(self._with_sent_together(named))
            with (
                self._leases.for_registration(vessel, resumes=False) as lease,
                self._leases.for_judgement(*every) as judging,
            ):
                self._review.finish_interrupted(every, judging)
                known = [self._open(one) for one in every]
                records = _to_confirm([facts for _, facts in known])
                sightings = [sighting for sighting, _ in known]
                facts = {
                    "vessel_id": str(vessel.id),
                    "attributes": new.known_attributes(),
                    "sightings": chips_and_ids(sightings),
                    "matches": [str(one.id) for one in records],
                }
                replaced = self._gallery.get_vessels([vessel.id]).get(vessel.id)
                with self._trail.change("enrol-sightings", **facts):
                    self._register(vessel, every, records, lease, judging, replaced)
            taken = self._gallery.sightings_of([vessel.id])
            notes = replacement_notes(replaced)
            return EnrolledVessel(vessel, taken, created=True, notes=notes)

    def _register(
        self,
        vessel: Vessel,
        every: Sequence[UUID],
        records: Sequence[MatchRecord],
        lease: Lease,
        judging: Lease,
        replaced: Vessel | None,
    ) -> None:
        fence = lease.token(vessel_claim(vessel.id))
        pending = being_enrolled(vessel, replaced, former_sightings=tuple(every))
        self._gallery.put_vessel(pending, fence)
        begun = self._review.begin_confirmations(records, vessel.id, judging)
        lease.renew()
        self._gallery.move_sightings(every, vessel)
        lease.confirm()
        self._gallery.put_fenced(vessel, fence)
        self._review.finish_confirmations(begun, judging)

    def _undo_interrupted(self, vessel_id: UUID) -> None:
        """Undo an earlier registration of the vessel that a store interrupted."""
        found = self._gallery.get_vessels([vessel_id]).get(vessel_id)
        if found is not None and found.state in INTERRUPTIBLE:
            with self._leases.for_recovery(found) as lease:
                self._recovery.settle(found, lease.renew)

    def _registered(self, vessel: Vessel, named: Collection[UUID]) -> EnrolledVessel | None:
        """Return the vessel if an earlier request has registered it with these sightings."""
        found = self._gallery.get_vessels([vessel.id]).get(vessel.id)
        if found is None or not (found.state.visible or found.state is VesselState.MERGED):
            return None
        sightings = self._gallery.sightings_of([vessel.id])
        if set(named) <= {one.id for one in sightings}:
            return EnrolledVessel(found, sightings, created=False)
        survivor = found.merged_into or found.id
        raise ConflictError(f"vessel {found.id} is registered with other sightings", survivor)

    def _with_sent_together(self, named: Collection[UUID]) -> set[UUID]:
        """Return the sightings, and the open ones that their matches would move along."""
        every = set(named)
        for one in named:
            facts = self._open(one)[1]
            for other in facts.one_ship - every:
                found = self._gallery.get_sighting(other)
                if found is not None and found.vessel_id is None:
                    every.add(other)
        return every

    def _open(self, sighting_id: UUID) -> tuple[Sighting, RecordedFacts]:
        """Return an open sighting and what was asked about it."""
        sighting = self._gallery.get_sighting(sighting_id)
        facts = recorded_facts(self._matches, sighting_id)
        if sighting is None or facts is None:
            raise NotFoundError(f"there is no open sighting {sighting_id}")
        if sighting.vessel_id is not None:
            raise ConflictError(
                f"sighting {sighting_id} has a vessel already: {sighting.vessel_id}",
                sighting.vessel_id,
            )
        return sighting, facts

    def _write_apart(self, facts: RecordedFacts, others: Collection[UUID], different: bool) -> None:
        """Note in the newest match of a sighting that others differ, or take it from all."""
        for record in facts.records[:1] if different else facts.records:
            apart = {*record.apart, *others} if different else {*record.apart} - {*others}
            if apart != {*record.apart}:
                self._matches.put(record.model_copy(update={"apart": tuple(sorted(apart))}))

    def _group(self, group_id: UUID, found: Sequence[GroupedSighting]) -> SightingGroup:
        members = [
            GroupMember(one.sighting, facts.records[0].id, one.place)
            for one in found
            if (facts := recorded_facts(self._matches, one.sighting.id)) is not None
        ]
        known = [one.place.probability for one in members if one.place.probability is not None]
        chips = {one.sighting.chip_sha256 for one in members}
        return SightingGroup(group_id, members, min(known, default=None), len(chips))


def _to_confirm(asked_about: Sequence[RecordedFacts]) -> list[MatchRecord]:
    """Return the undecided matches of each sighting; without any, its newest match."""
    chosen: dict[UUID, MatchRecord] = {}
    for facts in asked_about:
        undecided = [one for one in facts.records if one.standing is Standing.OPEN]
        for record in undecided or facts.records[:1]:
            chosen.setdefault(record.id, record)
    return list(chosen.values())


def _require_number(ids: Collection[UUID], at_least: int) -> None:
    if not at_least <= len(ids) <= MAX_TOGETHER:
        raise InvalidRequestError(
            f"{len(ids)} sightings were named; name {at_least} to {MAX_TOGETHER} different ones"
        )


def _parse(cursor: str) -> tuple[int, UUID]:
    try:
        chips, _, group = cursor.partition(".")
        return int(chips), UUID(group)
    except ValueError as error:
        raise InvalidRequestError(f"cursor: {cursor[:80]!r} is no next_cursor of a page") from error
