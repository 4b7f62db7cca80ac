"""The flat rows of exported vessels, matches and positions.

A row is a line of CSV and the properties of a GeoJSON feature. The columns of a vessel are those of
`vessels.csv`, see `docs/chips.md`.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.identity.records.base import GeoPoint
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
        "id": str(vessel.id),
        "name": vessel.name,
        "imo": vessel.imo,
        "mmsi": vessel.mmsi,
        "callsign": vessel.callsign,
        "flag": vessel.flag,
        "type": vessel.type,
        "length_m": vessel.length_m,
        "beam_m": vessel.beam_m,
        "created_at": _time(vessel.created_at),
        "updated_at": _time(vessel.updated_at),
        "sightings": len(sightings),
        "last_seen_at": _time(last.captured_at) if last else None,
        "last_lat": last.position.lat if last and last.position else None,
        "last_lon": last.position.lon if last and last.position else None,
    }


def match_row(record: MatchRecord) -> Row:
    """Return a match with its most probable vessel, the judgement in force and the query."""
    match, judgement, query = record.match, record.judgement, record.match.query
    first = match.candidates[0] if match.candidates else None
    return {
        "match_id": str(record.id),
        "asked_at": _time(record.asked_at),
        "asked_by": record.asked_by,
        "verdict": match.verdict.value,
        "standing": record.standing.value,
        "state": record.state.value,
        "first_vessel_id": str(first.vessel.id) if first else None,
        "first_name": first.vessel.name if first else None,
        "first_imo": first.vessel.imo if first else None,
        "first_mmsi": first.vessel.mmsi if first else None,
        "first_probability": _share(first.probability if first else None),
        "none_probability": _share(match.none_probability),
        "confirmed_vessel_id": _text(judgement.vessel_id) if judgement else None,
        "judged_by": judgement.by if judgement else None,
        "judged_at": _time(judgement.at) if judgement else None,
        "judgement_note": judgement.note if judgement else None,
        "sighting_id": str(query.id),
        "modality": query.modality.value,
        "captured_at": _time(query.captured_at),
        "captured_until": _time(query.captured_until),
        **_position(query.position),
        "gsd_m": query.gsd_m,
        "length_m": query.length_m,
        "width_m": query.width_m,
        "file_name": query.file_name,
        "case": query.case,
        "note": query.note,
        "chip_sha256": query.chip_sha256,
        "gallery_vessels": match.gallery.vessels,
        "bundle_id": record.model.bundle_id,
        "model": record.model.name,
        "training_domain": record.model.training_domain,
    }


def position_row(sighting: Sighting) -> Row:
    """Return where and when a vessel was."""
    return {
        "sighting_id": str(sighting.id),
        "vessel_id": _text(sighting.vessel_id),
        "captured_at": _time(sighting.captured_at),
        "captured_until": _time(sighting.captured_until),
        **_position(sighting.position),
        "modality": sighting.modality.value,
        "sensor": sighting.sensor,
        "source": sighting.source,
        "licence": sighting.licence,
        "file_name": sighting.file_name,
    }


def track(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return the sightings whose time and position are known, in order of time."""
    known = [(s.captured_at, s) for s in sightings if s.captured_at and s.position]
    return [sighting for _, sighting in sorted(known, key=lambda pair: (pair[0], pair[1].id))]


def last_position(sightings: Sequence[Sighting]) -> Sighting | None:
    """Return the latest sighting whose time and position are known."""
    known = track(sightings)
    return known[-1] if known else None


def _position(position: GeoPoint | None) -> Row:
    return {
        "lat": position.lat if position else None,
        "lon": position.lon if position else None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _share(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
