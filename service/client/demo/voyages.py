"""Invent places and times for the demo's simulated chips, so that maps and tracks show something.

All ships sail in one part of the Mediterranean so slowly that any of them could be at any place in
time, which the calibration takes as equal evidence for all. So the invented facts favour no vessel.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service.client.fleet.vessels import Fleet, FleetVessel

NOTE = "simulated chip; place and time are invented"
SOUTH_WEST, NORTH_EAST = (34.0, 16.0), (36.0, 19.5)
"""Latitude and longitude of the corners, degrees: open water between Malta, Crete and Libya."""

ASKED_ABOUT = datetime(2026, 3, 5, 22, tzinfo=UTC)
ENROLLED_H = (-60.0, -36.0)
"""Hours from the enrolled chips of a ship to the chip that is asked about."""


def invent_voyages(fleet: Fleet) -> Fleet:
    """Return the fleet with a place and a time for each chip."""
    return replace(fleet, vessels=tuple(_with_voyage(vessel) for vessel in fleet.vessels))


def invented_facts(key: str, hours: float = 0.0) -> dict[str, object]:
    """Return where a ship is, on a straight course, so many hours after `ASKED_ABOUT`.

    Args:
        key: the ship's number in the fleet; the same key always gives the same voyage.
        hours: from `ENROLLED_H[0]` to 0.

    Returns:
        the fields `captured_at`, `lat`, `lon` and `note` of a chip.
    """
    digest = hashlib.sha256(key.encode()).digest()
    shares = [byte / 255 for byte in digest[:4]]
    sailed = 1.0 - hours / ENROLLED_H[0]
    lat, lon = (
        low + (high - low) * (begin + (end - begin) * sailed)
        for low, high, begin, end in zip(
            SOUTH_WEST, NORTH_EAST, shares[:2], shares[2:], strict=True
        )
    )
    at = ASKED_ABOUT + timedelta(hours=hours)
    return {"captured_at": at.isoformat(), "lat": round(lat, 4), "lon": round(lon, 4), "note": NOTE}


def _with_voyage(vessel: FleetVessel) -> FleetVessel:
    hours = [*ENROLLED_H, *ENROLLED_H[-1:] * len(vessel.chips)]
    chips = tuple(
        replace(chip, metadata={**chip.metadata, **invented_facts(vessel.key, at)})
        for chip, at in zip(vessel.chips, hours, strict=False)
    )
    return replace(vessel, chips=chips)
