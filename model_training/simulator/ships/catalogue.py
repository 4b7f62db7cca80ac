"""The types of ship: how common, how long, how wide, how high, and which deck they carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class VesselType:
    """Sizes in metres; shapes as fractions.

    The sizes follow the world fleet's usual classes (handysize to capesize, feeder to ultra
    large, coastal to VLCC); the shares follow what lies in large ports and on anchorages and
    put the mean chip height near the 197 m that the published size token centres on.
    """

    deck: str
    """Which builder of `structure` lays out the deck."""
    share: float
    length_mean_m: float
    length_sd_m: float
    length_min_m: float
    length_max_m: float
    length_to_beam: tuple[float, float]
    bow_length: tuple[float, float]
    """Length of the tapering fore body over the beam."""
    bow_fullness: tuple[float, float]
    """Exponent of the bow's outline: 1 is a wedge, 3 nearly a box."""
    freeboard: tuple[float, float]
    """Deck above water over beam: fully laden, in ballast."""


CATALOGUE: dict[str, VesselType] = {
    "bulk_carrier": VesselType(
        "bulk", 0.20, 215, 40, 150, 330, (6.0, 7.0), (0.5, 0.9), (1.9, 2.8), (0.16, 0.48)
    ),
    "bulk_carrier_geared": VesselType(
        "geared_bulk", 0.17, 182, 16, 120, 230, (5.6, 6.6), (0.5, 0.9), (1.9, 2.8), (0.16, 0.46)
    ),
    "open_hatch_carrier": VesselType(
        "open_hatch", 0.03, 200, 12, 150, 225, (6.0, 6.8), (0.6, 1.0), (1.8, 2.6), (0.2, 0.45)
    ),
    "self_unloader": VesselType(
        "self_unloader", 0.02, 205, 25, 140, 260, (6.0, 7.2), (0.5, 0.8), (2.0, 3.0), (0.2, 0.45)
    ),
    "crude_tanker": VesselType(
        "tanker", 0.07, 262, 38, 200, 345, (5.3, 6.3), (0.45, 0.8), (2.0, 3.0), (0.13, 0.38)
    ),
    "product_tanker": VesselType(
        "tanker", 0.13, 170, 26, 75, 230, (5.6, 6.8), (0.5, 0.9), (1.9, 2.9), (0.15, 0.40)
    ),
    "container": VesselType(
        "container", 0.12, 235, 75, 100, 400, (6.2, 8.0), (0.9, 1.6), (1.5, 2.2), (0.22, 0.42)
    ),
    "general_cargo": VesselType(
        "general_cargo", 0.09, 125, 32, 65, 200, (5.6, 7.0), (0.7, 1.2), (1.6, 2.5), (0.16, 0.42)
    ),
    "ro_ro": VesselType(
        "ro_ro", 0.03, 180, 28, 100, 240, (6.2, 7.6), (0.9, 1.5), (1.6, 2.3), (0.25, 0.35)
    ),
    "car_carrier": VesselType(
        "car_carrier", 0.035, 192, 14, 120, 230, (5.8, 6.6), (0.6, 1.1), (1.9, 2.8), (0.75, 0.85)
    ),
    "lng_carrier": VesselType(
        "lng", 0.025, 288, 12, 150, 315, (5.9, 6.6), (0.6, 1.0), (1.8, 2.6), (0.25, 0.35)
    ),
    "lpg_carrier": VesselType(
        "lpg", 0.02, 165, 40, 75, 235, (5.8, 6.8), (0.6, 1.0), (1.8, 2.6), (0.2, 0.4)
    ),
    "ferry": VesselType(
        "ferry", 0.025, 140, 45, 40, 225, (5.2, 7.0), (0.8, 1.4), (1.6, 2.3), (0.22, 0.28)
    ),
    "offshore_supply": VesselType(
        "offshore", 0.025, 72, 14, 40, 120, (3.9, 4.9), (0.6, 1.0), (1.7, 2.4), (0.12, 0.22)
    ),
    "fishing": VesselType(
        "fishing", 0.025, 42, 16, 20, 95, (3.8, 5.0), (0.9, 1.4), (1.5, 2.2), (0.15, 0.25)
    ),
    "patrol": VesselType(
        "patrol", 0.025, 82, 30, 22, 150, (6.0, 8.2), (1.6, 2.8), (1.3, 1.8), (0.2, 0.26)
    ),
    "tug": VesselType("tug", 0.01, 32, 6, 20, 50, (2.7, 3.6), (0.6, 0.9), (1.7, 2.4), (0.14, 0.2)),
}

TYPE_NAMES: tuple[str, ...] = tuple(CATALOGUE)
_shares = np.array([CATALOGUE[name].share for name in TYPE_NAMES])
TYPE_WEIGHTS: tuple[float, ...] = tuple((_shares / _shares.sum()).tolist())
