"""Settings of the simulator that a run may want to change, checked when they are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

_GSD_LIMITS_M = (0.2, 5.0)  # finer needs smaller cells than the maps have; coarser hides decks


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Fleet, sensors, crops and data-set split of a simulation.

    Pairs are ``(low, high)`` and drawn uniformly. Defaults without a source are chosen by eye, or
    so that the statistics in docs/simulator.md come near those of genuine chips.
    """

    # Fleet
    seed: int = 7
    vessels: int = 2000
    sister_fraction: float = 0.25
    """Share of blocks of vessels that hold sister ships (two to all of one class)."""
    sister_block: int = 4
    """Vessels in a block: the largest family of sisters."""

    # Truth
    layout_bins: int = 32
    """Bins of the deck layout over the hull."""

    # Sensors
    optical_gsd_m: float = 0.75
    sar_gsd_m: float = 1.0
    """Metres per pixel; HOSS is 0.75 m optical and 1 m SAR (arXiv 2506.22027)."""
    off_nadir_deg: tuple[float, float] = (0.0, 32.0)
    sun_elevation_deg: tuple[float, float] = (22.0, 72.0)
    incidence_deg: tuple[float, float] = (20.0, 52.0)
    sar_resolution_m: tuple[float, float] = (0.7, 1.6)
    """Impulse response width, never finer than 1 pixel."""
    broadside_probability: float = 0.2
    """Share of SAR views taken from abeam, within about 10 degrees, besides those by chance."""

    # Conditions
    haze_probability: float = 0.2
    cloud_probability: float = 0.06
    moving_probability: float = 0.2
    """Share of SAR views whose ship moved or rolled enough to be smeared along azimuth."""
    alongside_probability: float = 0.12
    """Share of optical views with a tug, barge or quay beside the hull."""
    bow_flip_probability: float = 0.25
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
    bad_crop_probability: float = 0.05
    """Share of crops that are too long or too short by 10 to 20 %."""

    # Data set on disk
    optical_views: int = 2
    sar_views: int = 3
    validation_fraction: float = 0.1
    test_fraction: float = 0.15
    distractor_fraction: float = 0.35
    """Distractor vessels (id -1, gallery only) per test vessel; half match a test ship's size."""

    def __post_init__(self) -> None:
        """Reject values that no simulation can use.

        Raises:
            ValueError: a share lies outside 0..1, a range is empty, a count is below 1, a GSD lies
                outside 0.2..5 m, or the splits leave no ids for training.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_probability", "_fraction")) and not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} is {value}; a share lies between 0 and 1")
            if isinstance(value, tuple) and not value[0] <= value[1]:
                raise ValueError(f"{field.name} is {value}; give (low, high) with low <= high")
        for name in ("vessels", "layout_bins", "optical_views", "sar_views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 is needed")
        finest, coarsest = _GSD_LIMITS_M
        if not all(finest <= gsd <= coarsest for gsd in (self.optical_gsd_m, self.sar_gsd_m)):
            raise ValueError(
                f"optical_gsd_m and sar_gsd_m must lie between {finest:g} and {coarsest:g} m"
            )
        if self.sister_block < 2:
            raise ValueError(f"sister_block is {self.sister_block}; sisters are at least 2")
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError("validation_fraction + test_fraction must leave ids for training")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimulatorConfig:
        """Build from a mapping of setting to value, as YAML or JSON gives it.

        Raises:
            ValueError: the mapping names a setting that does not exist.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown simulator settings {unknown}; known: {sorted(known)}")
        settings: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, which ``from_dict`` reads back."""
        return asdict(self)
