"""Convert vessels and sightings to payloads of Qdrant points and back.

The payload holds the whole record as JSON in `record`, and beside it the fields that filters need.
The fields that depend on a sighting's vessel (`vessel_id`, `vessel_type`, `vessel_length_m`,
`origin_vessel_id`) stay out of `record`, so that moving sightings or correcting a vessel's type is
one payload update.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.utc_time import as_utc
from service.identity.records.sightings import EmbeddedSighting, GroupPlace, Sighting, SightingHit
from service.identity.records.vessels import Vessel
from service.storage.points import record_digests
from service.storage.points.search_words import search_fields

Payload = record_digests.Payload

RECORD = "record"
STATE, NAME, IMO, MMSI, TYPE = "state", "name", "imo", "mmsi", "type"
VESSEL_ID, VESSEL_TYPE, VESSEL_LENGTH_M = "vessel_id", "vessel_type", "vessel_length_m"
MODALITY, CHIP = "modality", "chip_sha256"
TENTATIVE = "tentative"
UNCOMPARED, YES, OPEN = "uncompared", "yes", "open"
"""The mark of a sighting that is to be compared with open ones: `open` if it is open itself."""

GROUP, GROUP_PROBABILITY = "group", "group_probability"
"""Fields of an open sighting that looks like others; without a digest, because they are derived."""

FENCE = "fence"
"""Field of a vessel: the token of the claim under which it was written."""

ORIGIN, ORIGIN_DIGEST = "origin_vessel_id", "origin_digest"

VESSEL_FIELDS = (RECORD, STATE, NAME, IMO, MMSI, TYPE)
SIGHTING_FIELDS = (RECORD, MODALITY, CHIP)
OWNER_FIELDS = (VESSEL_ID, VESSEL_TYPE, VESSEL_LENGTH_M)
"""The fields that have a digest together; those of a sighting's vessel change alone."""

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Point:
    """A point: its id, D floats of unit length (None: no vector), and its payload."""

    id: UUID
    vector: list[float] | None
    payload: Payload


def timestamp(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC with microseconds, as Qdrant's datetime index reads it."""
    return as_utc(moment).isoformat(timespec="microseconds")


def vessel_point(vessel: Vessel, fence: UUID | None = None) -> Point:
    """Return a vessel as a point; `fence` is the token of the claim under which it is written."""
    payload = {
        RECORD: vessel.model_dump_json(),
        STATE: vessel.state.value,
        NAME: vessel.name,
        IMO: vessel.imo,
        MMSI: vessel.mmsi,
        TYPE: vessel.type.casefold() if vessel.type else None,
    }
    mark = {} if fence is None else {FENCE: str(fence)}
    return Point(
        vessel.id, None, {**record_digests.with_digest(payload), **vessel_words(vessel), **mark}
    )


def vessel_words(vessel: Vessel) -> Payload:
    """Return the fields by which a vessel is searched for; see `search_words`."""
    return {**search_fields(vessel.id, vessel.name, vessel.imo, vessel.mmsi, vessel.callsign)}


def vessel_from(payload: Mapping[str, Any]) -> Vessel:
    """Return the vessel of a payload; raise StoreDamagedError if it is damaged."""
    return record_digests.parse_intact(payload, VESSEL_FIELDS, "vessel", Vessel.from_record)


def vessels_by_id(rows: Iterable[Payload]) -> dict[UUID, Vessel]:
    """Return the vessels of several payloads by id."""
    return {vessel.id: vessel for vessel in map(vessel_from, rows)}


def ownership_payload(vessel: Vessel | None) -> Payload:
    """Return the fields of a sighting that depend on its vessel; null without one."""
    owner = {
        VESSEL_ID: str(vessel.id) if vessel else None,
        VESSEL_TYPE: vessel.type.casefold() if vessel and vessel.type else None,
        VESSEL_LENGTH_M: vessel.length_m if vessel else None,
    }
    return record_digests.with_digest(owner, under=record_digests.OWNER_DIGEST)


def uncompared_payload(vessel: Vessel | None) -> Payload:
    """Return the mark of a sighting that has not been compared with open ones; it has no group."""
    return {UNCOMPARED: YES if vessel else OPEN, GROUP: None, GROUP_PROBABILITY: None}


def compared_payload() -> Payload:
    """Return the mark of a sighting that has been compared with open ones."""
    return {UNCOMPARED: None}


def group_payload(place: GroupPlace | None) -> Payload:
    """Return the fields of an open sighting that has been compared with the others."""
    return compared_payload() | {
        GROUP: None if place is None else str(place.group_id),
        GROUP_PROBABILITY: None if place is None else place.probability,
    }


def place_from(payload: Mapping[str, Any]) -> GroupPlace | None:
    """Return the place of an open sighting in a group; None without one."""
    group = payload.get(GROUP)
    return None if group is None else GroupPlace(UUID(group), payload.get(GROUP_PROBABILITY))


def origin_payload(origin: UUID | None) -> Payload:
    """Return the field of a sighting that names the vessel which had it before."""
    return record_digests.with_digest(
        {ORIGIN: str(origin) if origin else None}, under=ORIGIN_DIGEST
    )


def sighting_points(
    sightings: Iterable[EmbeddedSighting],
    bundle_id: str,
    width: int,
    vessel_of: Callable[[Sighting], Vessel | None],
    tentative: bool = False,
    uncompared: bool = False,
) -> list[Point]:
    """Return sightings as points.

    Args:
        sightings: embeddings float32 `[D]` of unit length.
        bundle_id: the bundle that all embeddings must come from.
        width: D.
        vessel_of: returns the vessel of a sighting; None for an open identity.
        tentative: marks the sightings as not confirmed.
        uncompared: marks those with a vessel, so that open sightings are compared with them;
            open ones always get a mark.

    Raises:
        ValueError: an embedding comes from another bundle, or is no unit vector of D numbers.
    """
    embedded = list(sightings)
    if foreign := sorted({one.sighting.bundle_id for one in embedded} - {bundle_id}):
        raise ValueError(
            f"this gallery holds embeddings of bundle {bundle_id}, got some of {foreign}"
        )
    mark = {TENTATIVE: True} if tentative else {}
    return [
        Point(
            one.sighting.id,
            check_vector(one.vector, width),
            _sighting_payload(one.sighting, vessel_of(one.sighting))
            | record_digests.vector_digest(one.vector)
            | _mark(vessel_of(one.sighting), uncompared)
            | mark,
        )
        for one in embedded
    ]


def _mark(vessel: Vessel | None, uncompared: bool) -> Payload:
    return uncompared_payload(vessel) if uncompared or vessel is None else {}


def _sighting_payload(sighting: Sighting, vessel: Vessel | None) -> Payload:
    fields = {
        RECORD: sighting.model_copy(update=dict.fromkeys((VESSEL_ID, ORIGIN))).model_dump_json(),
        MODALITY: sighting.modality.value,
        CHIP: sighting.chip_sha256,
    }
    return (
        record_digests.with_digest(fields)
        | ownership_payload(vessel)
        | origin_payload(sighting.origin_vessel_id)
    )


def sighting_from(payload: Mapping[str, Any]) -> Sighting:
    """Return the sighting of a payload; raise StoreDamagedError if it is damaged."""
    record_digests.require_intact(
        payload, OWNER_FIELDS, "sighting", under=record_digests.OWNER_DIGEST
    )
    record_digests.require_intact(payload, (ORIGIN,), "sighting", under=ORIGIN_DIGEST)
    sighting = record_digests.parse_intact(
        payload, SIGHTING_FIELDS, "sighting", Sighting.model_validate_json
    )
    named = {key: UUID(payload[key]) for key in (VESSEL_ID, ORIGIN) if payload.get(key)}
    return sighting.model_copy(update=named) if named else sighting


def embedded_sightings(
    rows: Iterable[tuple[UUID, NDArray[np.float32], Payload]],
) -> list[EmbeddedSighting]:
    """Return the sightings of several points with their embeddings, float32 `[D]`."""
    return [EmbeddedSighting(sighting_from(row), vector) for _, vector, row in rows]


def sightings_by_id(rows: Iterable[Payload]) -> dict[UUID, Sighting]:
    """Return the sightings of several payloads by id."""
    return {sighting.id: sighting for sighting in map(sighting_from, rows)}


def sightings_by_time(rows: Iterable[Payload]) -> list[Sighting]:
    """Return the sightings of several payloads in order of recording."""
    return sorted(map(sighting_from, rows), key=lambda one: (one.recorded_at, one.id))


def hit_from(payload: Mapping[str, Any], score: float) -> SightingHit:
    """Return the search hit of a payload."""
    return SightingHit(sighting_from(payload), cosine(score), place=place_from(payload))


def cosine(score: float) -> float:
    """Return the cosine of a search; rounding may have carried its score beyond -1..1."""
    return max(-1.0, min(1.0, score))


def check_vector(vector: NDArray[np.float32], width: int) -> list[float]:
    """Return an embedding as floats; raise ValueError unless `[width]` of unit length."""
    if vector.shape != (width,):
        raise ValueError(f"this gallery holds vectors of {width} numbers, got {vector.shape}")
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"an embedding must have length 1, got {length}")
    numbers: list[float] = vector.astype(np.float64).tolist()
    return numbers


def bundle_slug(bundle_id: str) -> str:
    """Return a bundle id as part of a folder or collection name; distinct ids stay distinct."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", bundle_id):
        return bundle_id
    return "x" + hashlib.sha256(bundle_id.encode()).hexdigest()[:40]


def vessel_among(vessels: Mapping[UUID, Vessel]) -> Callable[[Sighting], Vessel | None]:
    """Return a function that looks up a sighting's vessel; it raises ValueError if it is absent."""

    def vessel_of(sighting: Sighting) -> Vessel | None:
        if sighting.vessel_id is None:
            return None
        if sighting.vessel_id not in vessels:
            raise ValueError(
                f"sighting {sighting.id} belongs to vessel {sighting.vessel_id}, which is unknown"
            )
        return vessels[sighting.vessel_id]

    return vessel_of
