"""Vessels, sightings and unit vectors for tests of stores; all values are made up."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.records import UNCHANGED
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel

BUNDLE = "b0ba0d5e"
WIDTH = 16
START = datetime(2024, 3, 1, 12, tzinfo=UTC)

_serial = itertools.count(1)


def make_vessel(**fields: Any) -> Vessel:
    known = {"id": uuid4(), "created_at": START, "updated_at": START}
    return Vessel.model_validate(known | fields)


def make_sighting(vessel: Vessel | None = None, **fields: Any) -> Sighting:
    n = next(_serial)
    known = {
        "id": uuid4(),
        "vessel_id": vessel.id if vessel else None,
        "modality": Modality.OPTICAL,
        "gsd_m": 0.75,
        "gsd_source": "default",
        "length_m": 183.25,
        "width_m": 30.1,
        "bit_depth": "uint8",
        "framing": UNCHANGED,
        "chip_sha256": hashlib.sha256(str(n).encode()).hexdigest(),
        "bundle_id": BUNDLE,
        "recorded_at": START + timedelta(seconds=n),
    }
    return Sighting.model_validate(known | fields)


def tilted(similarity: float, axis: int = 1) -> NDArray[np.float32]:
    """Return a unit vector whose cosine to `query()` is `similarity`."""
    vector = np.zeros(WIDTH, np.float32)
    vector[0] = similarity
    vector[axis] = np.sqrt(1 - similarity**2)
    return vector


def query() -> NDArray[np.float32]:
    return tilted(1.0)


def embedded(
    similarity: float, vessel: Vessel | None = None, axis: int = 1, **fields: Any
) -> EmbeddedSighting:
    return EmbeddedSighting(make_sighting(vessel, **fields), tilted(similarity, axis))


def uuid_between(low: UUID, high: UUID) -> UUID:
    return UUID(int=(low.int + high.int) // 2)
