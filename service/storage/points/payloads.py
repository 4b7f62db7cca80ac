"""Vessel and Sighting <-> payload of a Qdrant point; one mapping for both adapters.

The payload holds the whole record as JSON in `record`, and beside it what filters need. What a
sighting's vessel may change (`vessel_id`, `vessel_type`, `vessel_length_m`) is kept out of
`record`, so that moving sightings or correcting a vessel's type is one payload update.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.utc_time import as_utc
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel

Payload = dict[str, Any]

RECORD = "record"
STATE, NAME, IMO, MMSI, TYPE = "state", "name", "imo", "mmsi", "type"
VESSEL_ID, VESSEL_TYPE, VESSEL_LENGTH_M = "vessel_id", "vessel_type", "vessel_length_m"
CAPTURED_AT, LOCATION, MODALITY, CHIP = "captured_at", "location", "modality", "chip_sha256"
TENTATIVE = "tentative"

UNIT_TOLERANCE = 1e-3


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as Qdrant's datetime index reads it."""
    return as_utc(moment).isoformat(timespec="microseconds")


def vessel_payload(vessel: Vessel) -> Payload:
    return {
        RECORD: vessel.model_dump_json(),
        STATE: vessel.state.value,
        NAME: vessel.name,
        IMO: vessel.imo,
        MMSI: vessel.mmsi,
        TYPE: vessel.type.casefold() if vessel.type else None,
    }


def vessel_from(payload: Mapping[str, Any]) -> Vessel:
    return Vessel.from_record(payload[RECORD])


def ownership_payload(vessel: Vessel | None) -> Payload:
    """What a sighting knows of its vessel; null where it is open or the value is unknown."""
    return {
        VESSEL_ID: str(vessel.id) if vessel else None,
        VESSEL_TYPE: vessel.type.casefold() if vessel and vessel.type else None,
        VESSEL_LENGTH_M: vessel.length_m if vessel else None,
    }


def sighting_payload(sighting: Sighting, vessel: Vessel | None) -> Payload:
    at, where = sighting.captured_at, sighting.position
    return {
        RECORD: sighting.model_copy(update={"vessel_id": None}).model_dump_json(),
        CAPTURED_AT: timestamp(at) if at else None,
        LOCATION: {"lat": where.lat, "lon": where.lon} if where else None,
        MODALITY: sighting.modality.value,
        CHIP: sighting.chip_sha256,
        **ownership_payload(vessel),
    }


def sighting_from(payload: Mapping[str, Any]) -> Sighting:
    owner = payload.get(VESSEL_ID)
    sighting = Sighting.model_validate_json(payload[RECORD])
    return sighting.model_copy(update={"vessel_id": UUID(owner)}) if owner else sighting


def check_vector(vector: NDArray[np.float32], width: int) -> list[float]:
    """The vector as plain floats.

    Raises:
        ValueError: not float `[width]` of unit length.
    """
    if vector.shape != (width,):
        raise ValueError(f"this gallery holds vectors of {width} numbers, got {vector.shape}")
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"an embedding must have length 1, got {length}")
    numbers: list[float] = vector.astype(np.float64).tolist()
    return numbers


def check_bundle(sightings: Iterable[EmbeddedSighting], bundle_id: str) -> None:
    """Raises ValueError when an embedding comes from another bundle."""
    strangers = sorted({e.sighting.bundle_id for e in sightings} - {bundle_id})
    if strangers:
        raise ValueError(
            f"this gallery holds embeddings of bundle {bundle_id}, got some of {strangers}"
        )


def bundle_slug(bundle_id: str) -> str:
    """A bundle id as part of a folder or collection name; distinct ids stay distinct."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", bundle_id):
        return bundle_id
    return "x" + hashlib.sha256(bundle_id.encode()).hexdigest()[:40]


def tentative_payload(tentative: bool) -> Payload:
    return {TENTATIVE: True} if tentative else {}


def owner_of(one: EmbeddedSighting, vessels: Mapping[UUID, Vessel]) -> Vessel | None:
    """The vessel of a sighting; None where it is open.

    Raises:
        ValueError: its vessel is not among these.
    """
    owner = one.sighting.vessel_id
    if owner is not None and owner not in vessels:
        raise ValueError(f"sighting {one.sighting.id} belongs to vessel {owner}, which is unknown")
    return None if owner is None else vessels[owner]
