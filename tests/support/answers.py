"""Responses of `POST /match` made for tests."""

from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from service.client.remote.models import Match

TIME = "2026-03-05T17:20:00Z"


def ship_id(name: str) -> UUID:
    """Return the id of the vessel that is called `SHIP <name>`."""
    return uuid5(NAMESPACE_OID, name)


def vessel_body(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": str(ship_id(name)),
        "name": f"SHIP {name}",
        "imo": "9074729",
        "created_at": TIME,
        "updated_at": TIME,
    } | more


def _chip(modality: str) -> dict[str, Any]:
    return {
        "modality": modality,
        "gsd_m": 1.0,
        "gsd_source": "parameter",
        "length_m": 183.0,
        "width_m": 30.0,
        "bit_depth": "uint8",
        "sha256": "0" * 64,
        "warnings": [],
    }


def sighting_body(name: str, **more: Any) -> dict[str, Any]:
    sighting = uuid5(NAMESPACE_OID, f"sighting of {name}")
    return {
        **_chip("optical"),
        "id": str(sighting),
        "vessel_id": str(ship_id(name)),
        "recorded_at": TIME,
        "chip_url": f"/sightings/{sighting}/chip",
        "preview_url": f"/sightings/{sighting}/preview.png",
    } | more


def body(verdict: str, *names: str, **more: Any) -> dict[str, Any]:
    """Return a response body that ranks these vessels; probabilities fall from 90 %."""
    return {
        "match_id": str(UUID(int=1)),
        "verdict": verdict,
        "candidates": [
            {
                "rank": index + 1,
                "probability": 0.9 - 0.1 * index,
                "similarity": 0.8 - 0.1 * index,
                "vessel": vessel_body(name),
                "sighting": sighting_body(name),
                "checks": {"length": None, "kinematics": None},
            }
            for index, name in enumerate(names)
        ],
        "none_probability": 0.05,
        "query": {**_chip("sar"), "sighting_id": str(UUID(int=2))},
        "model": {"bundle_id": "b", "name": "tiny [x]", "training_domain": "simulated"},
        "gallery": {"vessels": 3, "sightings": 9},
        "timings_ms": {"total": 12.0},
    } | more


def answer(verdict: str, *names: str, **more: Any) -> Match:
    return Match.model_validate(body(verdict, *names, **more))
