"""MatchRecord <-> Qdrant point, and pages of matches; one mapping for both adapters.

A match lies under the complement of its id: points are paged in order of id, and ids of later
matches are greater (see `identity.history.new_match_id`), so that the newest comes first without
sorting. The payload holds the whole record as JSON, and beside it what filters need.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from service.identity.records.match_records import MatchFilter, MatchPage, MatchRecord
from service.storage.points.filters import AnyOf, Before, Clause, Condition, During
from service.storage.points.paging import cursor_after, resume_at, successor
from service.storage.points.payloads import RECORD, Payload, timestamp

VERDICT, STANDING, MODALITY = "verdict", "standing", "modality"
VESSEL_IDS, SIGHTING_ID, ASKED_AT, UNSETTLED = "vessel_ids", "sighting_id", "asked_at", "unsettled"

KEYWORDS = (VERDICT, STANDING, MODALITY, VESSEL_IDS, SIGHTING_ID, UNSETTLED)
"""Fields that are looked up by whole words; `asked_at` is a time."""

YES = "yes"
STILL_UNSETTLED = Condition((AnyOf(UNSETTLED, [YES]),))
BATCH = 256

FetchMatches = Callable[[UUID | None, int], Sequence[Payload]]
"""`(smallest point id, limit)` -> payloads of the next matches in order of point id."""


def point_id(match_id: UUID) -> UUID:
    """Where a match lies: the smaller, the newer."""
    return UUID(int=(1 << 128) - 1 - match_id.int)


def match_payload(kept: MatchRecord) -> Payload:
    match, judgement = kept.match, kept.judgement
    vessels = {str(candidate.vessel.id) for candidate in match.candidates}
    if judgement is not None and judgement.vessel_id is not None:
        vessels.add(str(judgement.vessel_id))
    return {
        RECORD: kept.model_dump_json(),
        VERDICT: match.verdict.value,
        STANDING: kept.standing.value,
        MODALITY: match.query.modality.value,
        VESSEL_IDS: sorted(vessels),
        SIGHTING_ID: str(match.query.id),
        ASKED_AT: timestamp(kept.asked_at),
        UNSETTLED: YES if kept.unsettled else None,
    }


def match_from(payload: Mapping[str, Any]) -> MatchRecord:
    return MatchRecord.from_record(payload[RECORD])


def listed_matches(where: MatchFilter) -> Condition:
    """What the payload of a match that passes the filter satisfies."""
    words = {
        VERDICT: where.verdict,
        STANDING: where.standing,
        MODALITY: where.modality,
        VESSEL_IDS: where.vessel_id,
        SIGHTING_ID: where.sighting_id,
    }
    clauses: list[Clause] = [AnyOf(key, [str(w)]) for key, w in words.items() if w is not None]
    if where.since is not None:
        clauses.append(During(ASKED_AT, where.since, None))
    if where.until is not None:
        clauses.append(Before(ASKED_AT, where.until))
    return Condition(tuple(clauses))


def match_page(fetch: FetchMatches, limit: int, cursor: str | None) -> MatchPage:
    """One page, newest first.

    Raises:
        InvalidRequestError: the cursor is not one that an earlier page returned.
    """
    rows = fetch(resume_at(cursor), limit + 1)
    matches = [match_from(row) for row in rows[:limit]]
    more = len(rows) > limit
    return MatchPage(matches, cursor_after(point_id(matches[-1].id)) if more else None)


def every_match(fetch: FetchMatches) -> Iterator[MatchRecord]:
    """All that `fetch` gives, a batch at a time, so that nobody waits for the last."""
    start: UUID | None = None
    while rows := fetch(start, BATCH):
        matches = [match_from(row) for row in rows]
        yield from matches
        if len(rows) < BATCH:
            return
        start = successor(point_id(matches[-1].id))
