"""Convert match records to payloads of points and back.

A match is stored under the complement of its id: points are paged in order of id, and later matches
have greater ids (see `new_match_id`), so that the newest comes first without sorting. The payload
holds the whole record as JSON, and beside it the fields that filters need.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.identity.records.match_records import MatchFilter, MatchRecord, MatchState
from service.storage.points import filters, record_digests
from service.storage.points.payloads import RECORD, Point, timestamp

VERDICT, STANDING, MODALITY = "verdict", "standing", "modality"
VESSEL_IDS, SIGHTING_ID, ASKED_AT, UNSETTLED = "vessel_ids", "sighting_id", "asked_at", "unsettled"

CASE, FILE_NAME, NOTE = "case", "file_name", "note"
PLACE = "place"
STATE, UNANNOUNCED = "state", "unannounced"

KEYWORDS = (VERDICT, STANDING, MODALITY, UNSETTLED, CASE, STATE, UNANNOUNCED)
"""Fields that are looked up by whole words; `asked_at` is a time."""

NUMBERS = (filters.lat_key(PLACE), filters.lon_key(PLACE))

IDS = (VESSEL_IDS, SIGHTING_ID)
"""Fields of ids: their index takes less memory than that of words."""

MATCH_FIELDS = (
    *(RECORD, VERDICT, STANDING, MODALITY, VESSEL_IDS, SIGHTING_ID, ASKED_AT, UNSETTLED),
    *(CASE, FILE_NAME, NOTE),
)
YES = "yes"


def point_id(match_id: UUID) -> UUID:
    """Return the id of a match's point: the newer the match, the smaller."""
    return UUID(int=(1 << 128) - 1 - match_id.int)


def match_point(record: MatchRecord) -> Point:
    """Return a match record as a point."""
    match, judgement = record.match, record.judgement
    vessels = {str(candidate.vessel.id) for candidate in match.candidates}
    if judgement is not None and judgement.vessel_id is not None:
        vessels.add(str(judgement.vessel_id))
    payload = {
        RECORD: record.model_dump_json(),
        VERDICT: match.verdict.value,
        STANDING: record.standing.value,
        MODALITY: match.query.modality.value,
        VESSEL_IDS: sorted(vessels),
        SIGHTING_ID: [str(one) for one in match.sighting_ids],
        CASE: _folded(match.query.case),
        FILE_NAME: match.query.file_name,
        NOTE: match.query.note,
        ASKED_AT: timestamp(record.asked_at),
        UNSETTLED: YES if record.unsettled else None,
    }
    at = match.query.position
    # Without a digest. No state stands for `asked`, so that the index holds the others only.
    derived = {
        PLACE: None if at is None else {"lat": at.lat, "lon": at.lon},
        STATE: None if record.state is MatchState.ASKED else record.state.value,
        UNANNOUNCED: YES if record.unannounced else None,
    }
    return Point(point_id(record.id), None, record_digests.with_digest(payload) | derived)


def _folded(text: str | None) -> str | None:
    """Return a text as it is compared."""
    return None if text is None else text.casefold()


def match_from(payload: Mapping[str, Any]) -> MatchRecord:
    """Return the match record of a payload; raise StoreDamagedError if it is damaged."""
    return record_digests.parse_intact(payload, MATCH_FIELDS, "match", MatchRecord.from_record)


def match_condition(where: MatchFilter) -> filters.Condition:
    """Return the condition for matches that pass the filter; file name and note are ignored."""
    words = {
        VERDICT: where.verdict,
        STANDING: where.standing,
        MODALITY: where.modality,
        SIGHTING_ID: where.sighting_id,
        CASE: _folded(where.case),
    }
    clauses: list[filters.Clause] = [
        filters.AnyOf(key, [str(w)]) for key, w in words.items() if w is not None
    ]
    if where.vessel_id is not None:
        clauses.append(
            filters.AnyOf(VESSEL_IDS, [str(w) for w in (where.vessel_id, *where.merged_ids)])
        )
    without: tuple[filters.Clause, ...] = ()
    if where.state is MatchState.ASKED:
        without = (filters.Known(STATE),)
    elif where.state is not None:
        clauses.append(filters.AnyOf(STATE, [where.state.value]))
    if where.since is not None:
        clauses.append(filters.Since(ASKED_AT, where.since))
    if where.until is not None:
        clauses.append(filters.Before(ASKED_AT, where.until))
    if where.area is not None:
        clauses.append(filters.Inside(PLACE, **where.area.model_dump()))
    return filters.Condition(tuple(clauses), without)
