"""Settings of the simulator that a run may want to change, checked when they are set."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _require_order(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] <= limits[1]:
        raise ValueError(f"{limits} is empty; give (low, high) with low <= high")
    return limits


Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Limits = Annotated[tuple[float, float], AfterValidator(_require_order)]
# Finer pixels need smaller cells than the maps have; coarser ones hide decks.
Gsd = Annotated[float, Field(ge=0.2, le=5.0)]


class SimulatorConfig(BaseModel):
    """Fleet, sensors, crops and data-set split of a simulation.

    Pairs are ``(low, high)`` and drawn uniformly. Defaults without a source are chosen by eye, or
    so that the statistics in docs/simulator.md come near those of genuine chips.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Fleet
    seed: int = 7
    vessels: Count = 2000
    sister_fraction: Share = 0.25
    """Share of blocks of vessels that hold sister ships (two to all of one class)."""
    sister_block: int = Field(4, ge=2)
    """Vessels in a block: the largest family of sisters."""

    # Truth
    layout_bins: Count = 32
    """Bins of the deck layout over the hull."""

    # Sensors
    optical_gsd_m: Gsd = 0.75
    sar_gsd_m: Gsd = 1.0
    """Metres per pixel; HOSS is 0.75 m optical and 1 m SAR (arXiv 2506.22027)."""
    off_nadir_deg: Limits = (0.0, 32.0)
    sun_elevation_deg: Limits = (22.0, 72.0)
    incidence_deg: Limits = (20.0, 52.0)
    sar_resolution_m: Limits = (0.7, 1.6)
    """Impulse response width, never finer than 1 pixel."""
    broadside_probability: Share = 0.2
    """Share of SAR views taken from abeam, within about 10 degrees, besides those by chance."""

    # Conditions
    haze_probability: Share = 0.2
    cloud_probability: Share = 0.06
    moving_probability: Share = 0.2
    """Share of SAR views whose ship moved or rolled enough to be smeared along azimuth."""
    alongside_probability: Share = 0.12
    """Share of optical views with a tug, barge or quay beside the hull."""
    bow_flip_probability: Share = 0.25
    """Share of views in which a vessel lies against its usual direction."""

    # Crops
    rotation_sd_deg: float = 2.0
    crop_margin: float = 0.16
    """Sea along the hull at both ends together, over the length of what shows of the ship."""
    crop_sd: float = 0.032
    """Deviation of the crop's length over the ship's, which gives the ratio between the sensors a
    deviation of about 7 %. Three eighths of it is the deviation of the crop's centre."""
    crop_width_sd: float = 0.08
    """Spread of the crop's width over the width of what it shows."""
    sar_crop_by_hull: float = 0.6
    """How far a SAR crop's sides keep to the hull rather than to what is laid over beside it:
    0 is all that shows, 1 the hull. With `crop_width_sd`, the logarithm of SAR over optical width
    spreads by 0.17, as on genuine chips; with 0 and 0.11, by 0.29."""
    bad_crop_probability: Share = 0.05
    """Share of crops that are too long or too short by 10 to 20 %."""

    # Data set on disk
    optical_views: Count = 2
    sar_views: Count = 3
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.15
    distractor_fraction: Share = 0.35
    """Distractor vessels (id -1, gallery only) per test vessel; half match a test ship's size."""

    @model_validator(mode="after")
    def _leave_ids_for_training(self) -> SimulatorConfig:
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError("validation_fraction + test_fraction must leave ids for training")
        return self
