"""The flat rows of exported vessels, matches and positions.

A row is a line of CSV and the properties of a GeoJSON feature. The columns of a vessel are those of
`vessels.csv`, see `docs/chips.md`.
"""

from collections.abc import Sequence
from datetime import datetime

from service.identity.records.base import GeoPoint, Record
from service.identity.records.match_records import MatchRecord
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel

Value = str | float | int | None
Row = dict[str, Value]

VESSEL_COLUMNS = (
    *("id", "name", "imo", "mmsi", "callsign", "flag", "type", "length_m", "beam_m"),
    *("created_at", "updated_at", "sightings", "last_seen_at", "last_lat", "last_lon"),
)
MATCH_COLUMNS = (
    *("match_id", "asked_at", "asked_by", "verdict", "standing", "state"),
    *("first_vessel_id", "first_name", "first_imo", "first_mmsi", "first_probability"),
    *("none_probability", "confirmed_vessel_id", "judged_by", "judged_at", "judgement_note"),
    *("sighting_id", "modality", "captured_at", "captured_until", "lat", "lon", "gsd_m"),
    *("length_m", "width_m", "file_name", "case", "note", "chip_sha256"),
    *("gallery_vessels", "bundle_id", "model", "training_domain"),
)
POSITION_COLUMNS = (
    *("sighting_id", "vessel_id", "captured_at", "captured_until", "lat", "lon"),
    *("modality", "sensor", "source", "licence", "file_name"),
)


def vessel_row(vessel: Vessel, sightings: Sequence[Sighting]) -> Row:
    """Return a vessel with its last known position."""
    last = last_position(sightings)
    return {
        **_named(vessel, VESSEL_COLUMNS),
        "sightings": len(sightings),
        "last_seen_at": _time(last.captured_at) if last else None,
        "last_lat": last.position.lat if last and last.position else None,
        "last_lon": last.position.lon if last and last.position else None,
    }


def match_row(record: MatchRecord) -> Row:
    """Return a match with its most probable vessel, the judgement in force and the query."""
    match, query = record.match, record.match.query
    first = match.candidates[0] if match.candidates else None
    vessel = first.vessel.model_dump(mode="json") if first else {}
    judgement = record.judgement.model_dump(mode="json") if record.judgement else {}
    return {
        "match_id": str(record.id),
        "asked_at": _time(record.asked_at),
        "asked_by": record.asked_by,
        "verdict": match.verdict.value,
        "standing": record.standing.value,
        "state": record.state.value,
        **{f"first_{name}": vessel.get(name) for name in ("name", "imo", "mmsi")},
        "first_vessel_id": vessel.get("id"),
        "first_probability": _share(first.probability if first else None),
        "none_probability": _share(match.none_probability),
        "confirmed_vessel_id": judgement.get("vessel_id"),
        "judged_by": judgement.get("by"),
        "judged_at": judgement.get("at"),
        "judgement_note": judgement.get("note"),
        "sighting_id": str(query.id),
        **_named(query, MATCH_COLUMNS),
        **_position(query.position),
        "gallery_vessels": match.gallery.vessels,
        "bundle_id": record.model.bundle_id,
        "model": record.model.name,
        "training_domain": record.model.training_domain,
    }


def position_row(sighting: Sighting) -> Row:
    """Return where and when a vessel was."""
    return {
        "sighting_id": str(sighting.id),
        **_named(sighting, POSITION_COLUMNS),
        **_position(sighting.position),
    }


def track(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return the sightings whose time and position are known, in order of time."""
    known = [(s.captured_at, s) for s in sightings if s.captured_at and s.position]
    return [sighting for _, sighting in sorted(known, key=lambda pair: (pair[0], pair[1].id))]


def last_position(sightings: Sequence[Sighting]) -> Sighting | None:
    """Return the latest sighting whose time and position are known."""
    known = track(sightings)
    return known[-1] if known else None


def _named(record: Record, columns: Sequence[str]) -> Row:
    """Return the fields of a record that have the names of columns."""
    return record.model_dump(mode="json", include=set(columns))


def _position(position: GeoPoint | None) -> Row:
    return {"lat": position.lat if position else None, "lon": position.lon if position else None}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _share(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)
