"""Types of ship: how common, long, wide and high each is, and which deck it carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Range


@dataclass(frozen=True, slots=True)
class VesselType:
    """Sizes and proportions of a type of ship; pairs are the limits of a uniform draw.

    The sizes follow the world fleet's usual classes (handysize to capesize, feeder to ultra
    large, coastal to VLCC). The shares follow what lies in large ports and on anchorages, and
    put the mean chip height near the 197 m that the published size token centres on. The
    proportions are chosen by eye.
    """

    deck: str
    """Key into `decks.BUILDERS` of the builder that lays out the deck."""
    share: float
    """Share of the fleet; `TYPE_WEIGHTS` normalises the sum to 1."""
    length_mean_m: float
    length_sd_m: float
    length_min_m: float
    length_max_m: float
    length_to_beam: Range
    """Length over beam of a ship of the mean length."""
    bow_length: Range
    """Length of the tapering fore body over the beam."""
    bow_fullness: Range
    """Exponent of the bow's outline: 1 is a wedge, 3 nearly a box."""
    freeboard: Range
    """Deck above water over beam: fully laden, in ballast."""


CATALOGUE: dict[str, VesselType] = {
    "bulk_carrier": VesselType(
        deck="bulk",
        share=0.20,
        length_mean_m=215,
        length_sd_m=40,
        length_min_m=150,
        length_max_m=330,
        length_to_beam=(6.0, 7.0),
        bow_length=(0.5, 0.9),
        bow_fullness=(1.9, 2.8),
        freeboard=(0.16, 0.48),
    ),
    "bulk_carrier_geared": VesselType(
        deck="geared_bulk",
        share=0.17,
        length_mean_m=182,
        length_sd_m=16,
        length_min_m=120,
        length_max_m=230,
        length_to_beam=(5.6, 6.6),
        bow_length=(0.5, 0.9),
        bow_fullness=(1.9, 2.8),
        freeboard=(0.16, 0.46),
    ),
    "open_hatch_carrier": VesselType(
        deck="open_hatch",
        share=0.03,
        length_mean_m=200,
        length_sd_m=12,
        length_min_m=150,
        length_max_m=225,
        length_to_beam=(6.0, 6.8),
        bow_length=(0.6, 1.0),
        bow_fullness=(1.8, 2.6),
        freeboard=(0.2, 0.45),
    ),
    "self_unloader": VesselType(
        deck="self_unloader",
        share=0.02,
        length_mean_m=205,
        length_sd_m=25,
        length_min_m=140,
        length_max_m=260,
        length_to_beam=(6.0, 7.2),
        bow_length=(0.5, 0.8),
        bow_fullness=(2.0, 3.0),
        freeboard=(0.2, 0.45),
    ),
    "crude_tanker": VesselType(
        deck="tanker",
        share=0.07,
        length_mean_m=262,
        length_sd_m=38,
        length_min_m=200,
        length_max_m=345,
        length_to_beam=(5.3, 6.3),
        bow_length=(0.45, 0.8),
        bow_fullness=(2.0, 3.0),
        freeboard=(0.13, 0.38),
    ),
    "product_tanker": VesselType(
        deck="tanker",
        share=0.13,
        length_mean_m=170,
        length_sd_m=26,
        length_min_m=75,
        length_max_m=230,
        length_to_beam=(5.6, 6.8),
        bow_length=(0.5, 0.9),
        bow_fullness=(1.9, 2.9),
        freeboard=(0.15, 0.40),
    ),
    "container": VesselType(
        deck="container",
        share=0.12,
        length_mean_m=235,
        length_sd_m=75,
        length_min_m=100,
        length_max_m=400,
        length_to_beam=(6.2, 8.0),
        bow_length=(0.9, 1.6),
        bow_fullness=(1.5, 2.2),
        freeboard=(0.22, 0.42),
    ),
    "general_cargo": VesselType(
        deck="general_cargo",
        share=0.09,
        length_mean_m=125,
        length_sd_m=32,
        length_min_m=65,
        length_max_m=200,
        length_to_beam=(5.6, 7.0),
        bow_length=(0.7, 1.2),
        bow_fullness=(1.6, 2.5),
        freeboard=(0.16, 0.42),
    ),
    "ro_ro": VesselType(
        deck="ro_ro",
        share=0.03,
        length_mean_m=180,
        length_sd_m=28,
        length_min_m=100,
        length_max_m=240,
        length_to_beam=(6.2, 7.6),
        bow_length=(0.9, 1.5),
        bow_fullness=(1.6, 2.3),
        freeboard=(0.25, 0.35),
    ),
    "car_carrier": VesselType(
        deck="car_carrier",
        share=0.035,
        length_mean_m=192,
        length_sd_m=14,
        length_min_m=120,
        length_max_m=230,
        length_to_beam=(5.8, 6.6),
        bow_length=(0.6, 1.1),
        bow_fullness=(1.9, 2.8),
        freeboard=(0.75, 0.85),
    ),
    "lng_carrier": VesselType(
        deck="lng",
        share=0.025,
        length_mean_m=288,
        length_sd_m=12,
        length_min_m=150,
        length_max_m=315,
        length_to_beam=(5.9, 6.6),
        bow_length=(0.6, 1.0),
        bow_fullness=(1.8, 2.6),
        freeboard=(0.25, 0.35),
    ),
    "lpg_carrier": VesselType(
        deck="lpg",
        share=0.02,
        length_mean_m=165,
        length_sd_m=40,
        length_min_m=75,
        length_max_m=235,
        length_to_beam=(5.8, 6.8),
        bow_length=(0.6, 1.0),
        bow_fullness=(1.8, 2.6),
        freeboard=(0.2, 0.4),
    ),
    "ferry": VesselType(
        deck="ferry",
        share=0.025,
        length_mean_m=140,
        length_sd_m=45,
        length_min_m=40,
        length_max_m=225,
        length_to_beam=(5.2, 7.0),
        bow_length=(0.8, 1.4),
        bow_fullness=(1.6, 2.3),
        freeboard=(0.22, 0.28),
    ),
    "offshore_supply": VesselType(
        deck="offshore",
        share=0.025,
        length_mean_m=72,
        length_sd_m=14,
        length_min_m=40,
        length_max_m=120,
        length_to_beam=(3.9, 4.9),
        bow_length=(0.6, 1.0),
        bow_fullness=(1.7, 2.4),
        freeboard=(0.12, 0.22),
    ),
    "fishing": VesselType(
        deck="fishing",
        share=0.025,
        length_mean_m=42,
        length_sd_m=16,
        length_min_m=20,
        length_max_m=95,
        length_to_beam=(3.8, 5.0),
        bow_length=(0.9, 1.4),
        bow_fullness=(1.5, 2.2),
        freeboard=(0.15, 0.25),
    ),
    "patrol": VesselType(
        deck="patrol",
        share=0.025,
        length_mean_m=82,
        length_sd_m=30,
        length_min_m=22,
        length_max_m=150,
        length_to_beam=(6.0, 8.2),
        bow_length=(1.6, 2.8),
        bow_fullness=(1.3, 1.8),
        freeboard=(0.2, 0.26),
    ),
    "tug": VesselType(
        deck="tug",
        share=0.01,
        length_mean_m=32,
        length_sd_m=6,
        length_min_m=20,
        length_max_m=50,
        length_to_beam=(2.7, 3.6),
        bow_length=(0.6, 0.9),
        bow_fullness=(1.7, 2.4),
        freeboard=(0.14, 0.2),
    ),
}

TYPE_NAMES: tuple[str, ...] = tuple(CATALOGUE)
_shares = np.array([CATALOGUE[name].share for name in TYPE_NAMES])
TYPE_WEIGHTS: tuple[float, ...] = tuple((_shares / _shares.sum()).tolist())
