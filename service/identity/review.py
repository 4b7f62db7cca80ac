"""The analyst decides what a remembered match has shown.

Confirming gives the query sighting to a vessel, so that it is evidence from then on; rejecting and
withdrawing leave or make it open. Matches of one chip share that sighting: the latest judgement of
any of them moves it.

Order of writes: the match with the judgement as `unsettled`, the sighting, the match as settled.
Who finds an unsettled match finishes it: its judgement was never acknowledged. The sighting is
claimed meanwhile, so that one replica at a time judges it (`leases.py`). Vessels are not claimed:
whoever moves the sighting looks for its vessel before and after, and whoever merges or deletes a
vessel hides it first and then looks for its sightings, so one of them sees what the other did.
"""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from service.access.caller import current_caller
from service.identity.audit_trail import Facts
from service.identity.context import Context
from service.identity.errors import ConflictError, NotFoundError
from service.identity.leases import Lease
from service.identity.records.base import Record, only_when_new
from service.identity.records.identifiers import normalise_text
from service.identity.records.match_records import Decision, Judgement, MatchFilter, MatchRecord
from service.identity.records.sightings import Sighting
from service.identity.recovery import Recovery

MATCHES_OF_ONE_CHIP = 500
"""How many of them, the newest, are asked when a judgement has to be taken back unacknowledged."""


class NewJudgement(Record):
    """What an analyst says; a vessel is named when it is confirmed, and only then."""

    decision: Decision
    vessel_id: UUID | None = None
    note: (
        Annotated[str, Field(max_length=2000), AfterValidator(only_when_new(normalise_text))] | None
    ) = None

    @model_validator(mode="after")
    def _vessel_belongs_to_confirmation(self) -> "NewJudgement":
        if (self.vessel_id is not None) is not (self.decision is Decision.CONFIRMED):
            raise ValueError("vessel_id is needed when the decision is confirmed, and only then")
        return self


@dataclass(frozen=True, slots=True)
class MatchDetail:
    """A match, and its query sighting as it is now: None when that was deleted."""

    kept: MatchRecord
    sighting: Sighting | None


class MatchReview:
    """The use cases behind `GET /matches/{id}` and `POST /matches/{id}/verdict`."""

    def __init__(self, context: Context, recovery: Recovery) -> None:
        self._gallery = context.gallery
        self._matches = context.matches
        self._now = context.now
        self._write_lock = context.write_lock
        self._trail = context.trail
        self._recovery = recovery
        self._leases = recovery.leases

    def show(self, match_id: UUID) -> MatchDetail:
        """Raises NotFoundError when no such match is remembered."""
        kept = self._kept(match_id)
        return MatchDetail(kept, self._gallery.get_sighting(kept.match.query.id))

    def judge(self, match_id: UUID, said: NewJudgement) -> MatchDetail:
        """Decide about a match, or take back what was decided.

        Raises:
            NotFoundError: no such match, or no such vessel.
            ConflictError: the query sighting was deleted, nothing is there to be withdrawn, or
                somebody else judges the same sighting right now.
            StoreUnavailableError, StoreFullError: nothing was acknowledged.
        """
        with self._write_lock:
            sighting_id = self._kept(match_id).match.query.id
            with self._leases.judging(sighting_id) as lease:
                self._finish_others(sighting_id, lease)
                kept = self._kept(match_id)
                judgement = self._judgement(kept, said)
                with self._trail.change("verdict", **_facts(kept, judgement)):
                    settled = self._judged(kept, judgement, lease)
        return MatchDetail(settled, self._gallery.get_sighting(sighting_id))

    def settle_interrupted(self) -> int:
        """Finish every judgement that a crash interrupted; returns how many there were."""
        with self._write_lock:
            return sum([self._finished(kept) for kept in self._matches.unsettled()])

    def _kept(self, match_id: UUID) -> MatchRecord:
        kept = self._matches.get(match_id)
        if kept is None:
            raise NotFoundError(
                f"no match {match_id} is remembered; one that was asked with store=false never is"
            )
        return kept

    def _judgement(self, kept: MatchRecord, said: NewJudgement) -> Judgement:
        """What is said, by whom and when; a vessel that was merged is the one it became part of."""
        vessel = None
        if said.decision is Decision.CONFIRMED:
            vessel = self._recovery.heir(said.vessel_id)
            if vessel is None:
                raise NotFoundError(f"no vessel {said.vessel_id} is registered")
            if self._gallery.get_sighting(kept.match.query.id) is None:
                raise _deleted(kept)
        elif said.decision is Decision.WITHDRAWN and kept.judgement is None:
            raise ConflictError(f"match {kept.id} has no judgement that could be withdrawn")
        return Judgement(
            decision=said.decision,
            vessel_id=None if vessel is None else vessel.id,
            by=current_caller().name,
            at=self._now(),
            note=said.note,
        )

    def _judged(self, kept: MatchRecord, judgement: Judgement, lease: Lease) -> MatchRecord:
        begun = kept.model_copy(
            update={"judgements": (*kept.judgements, judgement), "unsettled": True}
        )
        lease.renew()
        self._matches.put(begun)
        settled = self._settle(begun, lease)
        if settled.judgements != begun.judgements:
            if self._gallery.get_sighting(kept.match.query.id) is None:
                raise _deleted(kept)
            raise NotFoundError(f"vessel {judgement.vessel_id} was deleted just now")
        return settled

    def _finish_others(self, sighting_id: UUID, lease: Lease) -> None:
        """What failed or was killed before must not move the sighting later."""
        for kept in self._matches.unsettled():
            if kept.match.query.id == sighting_id:
                self._finish(kept, lease)

    def _finished(self, kept: MatchRecord) -> bool:
        """Finish it, unless somebody else is or was at it."""
        try:
            with self._leases.judging(kept.match.query.id) as lease:
                found = self._matches.get(kept.id)
                if found is None or not found.unsettled:
                    return False
                self._finish(found, lease)
        except ConflictError:
            return False
        return True

    def _finish(self, kept: MatchRecord, lease: Lease) -> None:
        facts = _facts(kept, kept.judgements[-1])
        with self._trail.change("recover", found="unsettled", **facts):
            self._settle(kept, lease)

    def _settle(self, kept: MatchRecord, lease: Lease) -> MatchRecord:
        """Move the sighting as the latest judgement has it, then call the match settled.

        That judgement goes where its vessel or the sighting was deleted meanwhile; the sighting
        is then as it was before.
        """
        if not self._moved(kept, kept.judgement, lease):
            kept = kept.model_copy(update={"judgements": kept.judgements[:-1]})
            if not self._moved(kept, self._in_force(kept), lease):
                self._moved(kept, None, lease)
        settled = kept.model_copy(update={"unsettled": False})
        lease.renew()
        self._matches.put(settled)
        return settled

    def _moved(self, kept: MatchRecord, judgement: Judgement | None, lease: Lease) -> bool:
        """Give the sighting to the vessel that is confirmed, or open it.

        False where vessel or sighting are gone; it may then be the sighting of a vessel that is.
        """
        sighting_id = kept.match.query.id
        if judgement is None or judgement.vessel_id is None:
            lease.renew()
            self._gallery.move_sightings([sighting_id], None)
            return True
        vessel = self._recovery.heir(judgement.vessel_id)
        while vessel is not None:
            lease.renew()
            self._gallery.move_sightings([sighting_id], vessel)
            if self._gallery.get_sighting(sighting_id) is None:
                return False
            seen, vessel = vessel, self._recovery.heir(vessel.id)
            if vessel == seen:
                return True
        return False

    def _in_force(self, kept: MatchRecord) -> Judgement | None:
        """The latest judgement of this match, as it is given, and of all others of its sighting."""
        query = MatchFilter(sighting_id=kept.match.query.id)
        others = self._matches.page(query, MATCHES_OF_ONE_CHIP, None).matches
        judged = [kept.judgements, *(one.judgements for one in others if one.id != kept.id)]
        latest = [judgements[-1] for judgements in judged if judgements]
        return max(latest, key=lambda one: one.at, default=None)


def _deleted(kept: MatchRecord) -> ConflictError:
    return ConflictError(
        f"the query sighting {kept.match.query.id} of match {kept.id} was deleted, so no vessel "
        "can have it; send the chip again to match it anew"
    )


def _facts(kept: MatchRecord, judgement: Judgement) -> Facts:
    """What the audit log tells of a judgement."""
    vessel_id = judgement.vessel_id
    return {
        "match_id": str(kept.id),
        "sighting_id": str(kept.match.query.id),
        "decision": judgement.decision.value,
        "vessel_id": None if vessel_id is None else str(vessel_id),
        "note": judgement.note,
        "by": judgement.by,
    }
