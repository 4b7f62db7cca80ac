"""Responses of `POST /match` made for tests."""

from typing import Any

from service.client.answers import MatchAnswer, read_answer


def body(verdict: str, *vessel_ids: str, **more: Any) -> dict[str, Any]:
    """Return a response body that ranks these vessels; probabilities fall from 90 %."""
    return {
        "match_id": "m",
        "verdict": verdict,
        "candidates": [
            {
                "rank": index + 1,
                "probability": 0.9 - 0.1 * index,
                "similarity": 0.8 - 0.1 * index,
                "vessel": {"id": vessel_id, "name": f"SHIP {vessel_id}", "imo": "9074729"},
                "sighting": {
                    "id": f"s{vessel_id}",
                    "modality": "optical",
                    "preview_url": f"/sightings/s{vessel_id}/preview.png",
                },
                "checks": {"length": None, "kinematics": None},
            }
            for index, vessel_id in enumerate(vessel_ids)
        ],
        "none_probability": 0.05,
        "query": {
            "sighting_id": "q",
            "modality": "sar",
            "gsd_m": 1.0,
            "length_m": 183.0,
            "width_m": 30.0,
            "warnings": [],
        },
        "model": {"bundle_id": "b", "name": "tiny [x]", "training_domain": "simulated"},
        "gallery": {"vessels": 3, "sightings": 9},
        "timings_ms": {"total": 12.0},
    } | more


def answer(verdict: str, *vessel_ids: str) -> MatchAnswer:
    return read_answer(body(verdict, *vessel_ids))
