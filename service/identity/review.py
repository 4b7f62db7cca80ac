"""Record what an analyst decides about a match.

Confirming a match assigns its query sighting to a vessel, so that the sighting is evidence from
then on; rejecting the match or withdrawing the confirmation takes the vessel away again. Matches of
one chip with the same stated facts share that sighting: the latest of their confirmations in force
decides, so that rejecting one match leaves the evidence of another.

Order of writes: the match record with the judgement as `unsettled`, the sighting, the record as
settled. Recovery finishes an unsettled record; its judgement was never acknowledged. A lease on the
sighting lets one replica at a time judge it (`leases.py`). Vessels need no lease: a judgement looks
for the vessel before and after it moves the sighting, and a merge or deletion hides the vessel
first and then looks for its sightings, so at least one of the two notices the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.access.caller import current_caller
from service.identity.audit_trail import Facts
from service.identity.context import Context, UseCase
from service.identity.enrol import get_visible_vessel
from service.identity.errors import ConflictError, NotFoundError
from service.identity.leases import Lease
from service.identity.records.match_records import (
    Decision,
    Judgement,
    MatchFilter,
    MatchRecord,
    NewJudgement,
    Standing,
)
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel, VesselState
from service.identity.recovery import Recovery

MATCHES_OF_ONE_CHIP = 500
"""How many confirmed matches of a sighting, newest first, are read to find the one in force."""


@dataclass(frozen=True, slots=True)
class MatchDetail:
    """A match record, and its query sighting as it is now: None when it was deleted."""

    record: MatchRecord
    sighting: Sighting | None


class MatchReview(UseCase):
    """The use cases behind `GET /matches/{id}` and `POST /matches/{id}/verdict`."""

    def __init__(self, context: Context, recovery: Recovery) -> None:
        super().__init__(context)
        self._recovery = recovery
        self._leases = recovery.leases

    def with_merged(self, where: MatchFilter) -> MatchFilter:
        """Let a filter for a vessel pass the matches of vessels that were merged into it, too."""
        if where.vessel_id is None:
            return where
        merged = self._gallery.vessels_in_state([VesselState.MERGED])
        survivors = {one.id: one.merged_into for one in merged}
        into = [one for one in survivors if where.vessel_id in _survivors(one, survivors)]
        return where.model_copy(update={"merged_ids": tuple(sorted(into))})

    def show(self, match_id: UUID) -> MatchDetail:
        """Return a match; raise NotFoundError when there is no record of it."""
        record = self._record(match_id)
        return MatchDetail(record, self._gallery.get_sighting(record.match.query.id))

    def judge(self, match_id: UUID, new: NewJudgement) -> MatchDetail:
        """Record a decision about a match, or withdraw the last one.

        Raises:
            NotFoundError: no such match, or no such vessel.
            ConflictError: the query sighting was deleted, there is no judgement to withdraw,
                there are other judgements than the analyst has seen, or another request judges a
                match of the same sighting right now.
            StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        with self._write_lock:
            match = self._record(match_id).match
            with self._leases.for_judgement(*match.sighting_ids) as lease:
                self.finish_interrupted(match.sighting_ids, lease)
                record = self._record(match_id)
                _require_seen(record, new)
                judgement = self._judgement(record, new)
                with self._trail.change("verdict", **_facts(record, judgement)):
                    settled = self._add_judgement(record, judgement, lease)
        return MatchDetail(settled, self._gallery.get_sighting(match.query.id))

    def begin_confirmations(
        self, records: Sequence[MatchRecord], vessel_id: UUID, lease: Lease
    ) -> list[MatchRecord]:
        """Begin to confirm matches with a vessel that is being registered.

        Args:
            vessel_id: the vessel; if it is never registered, recovery removes the confirmations.
            lease: of `for_judgement` on their sightings.
        """
        judgement = Judgement(
            decision=Decision.CONFIRMED,
            vessel_id=vessel_id,
            by=current_caller().name,
            at=self._now(),
        )
        return [self._begin(record, judgement, lease) for record in records]

    def finish_confirmations(self, begun: Sequence[MatchRecord], lease: Lease) -> None:
        """Settle matches of `begin_confirmations`, when their vessel is registered."""
        for record in begun:
            self._settle(record, lease)

    def settle_interrupted(self) -> int:
        """Finish every judgement that a crash interrupted; return their number."""
        with self._write_lock:
            return sum([self._settle_if_unsettled(record) for record in self._matches.unsettled()])

    def _record(self, match_id: UUID) -> MatchRecord:
        record = self._matches.get(match_id)
        if record is None:
            raise NotFoundError(
                f"there is no record of match {match_id}; a match with store=false is not recorded"
            )
        return record

    def _judgement(self, record: MatchRecord, new: NewJudgement) -> Judgement:
        """Complete a judgement; a vessel that was merged is replaced by its survivor."""
        vessel = None
        if new.vessel_id is not None:  # only a confirmation names one
            survivor = self._recovery.resolve_vessel(new.vessel_id)
            vessel = survivor or get_visible_vessel(self._gallery, new.vessel_id)
            if self._gallery.get_sighting(record.match.query.id) is None:
                raise _sighting_deleted(record)
        elif new.decision is Decision.WITHDRAWN and record.judgement is None:
            raise ConflictError(f"match {record.id} has no judgement that could be withdrawn")
        return Judgement(
            decision=new.decision,
            vessel_id=None if vessel is None else vessel.id,
            by=current_caller().name,
            at=self._now(),
            note=new.note,
        )

    def _add_judgement(
        self, record: MatchRecord, judgement: Judgement, lease: Lease
    ) -> MatchRecord:
        begun = self._begin(record, judgement, lease)
        settled = self._settle(begun, lease)
        if settled.judgements != begun.judgements:
            if self._gallery.get_sighting(record.match.query.id) is None:
                raise _sighting_deleted(record)
            raise NotFoundError(f"vessel {judgement.vessel_id} was deleted just now")
        return settled

    def _begin(self, record: MatchRecord, judgement: Judgement, lease: Lease) -> MatchRecord:
        begun = record.model_copy(
            update={"judgements": (*record.judgements, judgement), "unsettled": True}
        )
        lease.renew()
        self._matches.put(begun)
        return begun

    def finish_interrupted(self, sighting_ids: Sequence[UUID], lease: Lease) -> None:
        """Finish interrupted judgements first, so that they do not move the sightings later."""
        for record in self._matches.unsettled():
            if not set(sighting_ids).isdisjoint(record.match.sighting_ids):
                self._finish(record, lease)

    def _settle_if_unsettled(self, record: MatchRecord) -> bool:
        """Finish the judgement, unless another request judges the sighting or has settled it."""
        try:
            with self._leases.for_judgement(*record.match.sighting_ids) as lease:
                found = self._matches.get(record.id)
                if found is None or not found.unsettled:
                    return False
                self._finish(found, lease)
        except ConflictError:
            return False
        return True

    def _finish(self, record: MatchRecord, lease: Lease) -> None:
        facts = _facts(record, record.judgements[-1])
        with self._trail.change("recover", found="unsettled", **facts):
            self._settle(record, lease)

    def _settle(self, record: MatchRecord, lease: Lease) -> MatchRecord:
        """Move the sighting as the judgements say, then mark the record as settled.

        If the vessel or the sighting that the latest judgement confirms was deleted in the
        meantime, that judgement is removed, and the sighting goes back to where it was.
        """
        if record.moves_sighting:
            latest = record.judgements[-1]
            in_force = self._assign_sightings(record, lease)
            deleted = self._gallery.get_sighting(record.match.query.id) is None
            if latest.vessel_id is not None and (deleted or in_force is not latest):
                record = record.model_copy(update={"judgements": record.judgements[:-1]})
                self._assign_sightings(record, lease)
        settled = record.model_copy(update={"unsettled": False})
        lease.renew()
        self._matches.put(settled)
        return settled

    def _assign_sightings(self, record: MatchRecord, lease: Lease) -> Judgement | None:
        """Assign the query sightings to the confirmed vessel, or to none.

        Returns:
            The judgement that confirmed the vessel of the first one.
        """
        first, *_ = [self._assign(record, one, lease) for one in record.match.sighting_ids]
        return first

    def _assign(self, record: MatchRecord, sighting_id: UUID, lease: Lease) -> Judgement | None:
        while True:
            judgement, vessel = self._confirmation_in_force(record, sighting_id)
            lease.renew()
            self._gallery.move_sightings([sighting_id], vessel)
            if vessel is None or self._recovery.resolve_vessel(vessel.id) == vessel:
                return judgement

    def _confirmation_in_force(
        self, record: MatchRecord, sighting_id: UUID
    ) -> tuple[Judgement | None, Vessel | None]:
        """Return the confirmation that decides about a sighting of the match, and its vessel.

        That is the record's own, else the latest of another match of the sighting, as long as the
        vessel is registered.
        """
        query = MatchFilter(sighting_id=sighting_id, standing=Standing.CONFIRMED)
        same_sighting = self._matches.page(query, MATCHES_OF_ONE_CHIP, None).matches
        others = [one.judgement for one in same_sighting if one.id != record.id and one.judgement]
        others.sort(key=lambda judgement: judgement.at, reverse=True)
        for judgement in (record.judgement, *others):
            if judgement is not None and judgement.vessel_id is not None:
                vessel = self._recovery.resolve_vessel(judgement.vessel_id)
                if vessel is not None:
                    return judgement, vessel
        return None, None


def _survivors(merged: UUID, survivors: Mapping[UUID, UUID | None]) -> Iterator[UUID]:
    """Yield the vessel that a merged one became part of, that one's survivor, and so on."""
    survivor = survivors.get(merged)
    while survivor is not None:
        yield survivor
        survivor = survivors.get(survivor)


def _require_seen(record: MatchRecord, new: NewJudgement) -> None:
    if new.seen is None or new.seen == len(record.judgements):
        return
    latest = record.judgements[-1] if record.judgements else None
    found = "has no judgement now" if latest is None else f"was {latest.decision} by {latest.by}"
    raise ConflictError(
        f"the match {found}, after you looked at it: your judgement was not recorded; look again"
    )


def _sighting_deleted(record: MatchRecord) -> ConflictError:
    return ConflictError(
        f"the query sighting {record.match.query.id} of match {record.id} was deleted, so it "
        "cannot be assigned to a vessel; send the chip again to match it anew"
    )


def _facts(record: MatchRecord, judgement: Judgement) -> Facts:
    """Return the values of a judgement for the audit log."""
    vessel_id = judgement.vessel_id
    return {
        "match_id": str(record.id),
        "sighting_id": str(record.match.query.id),
        "decision": judgement.decision.value,
        "vessel_id": None if vessel_id is None else str(vessel_id),
        "note": judgement.note,
        "by": judgement.by,
    }
