"""Every number of the simulator that a run may want to change, checked when it is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Fleet, sensors, crops and data-set split of a simulation.

    Ranges are ``(low, high)`` and drawn uniformly unless the field says otherwise.
    """

    # Fleet
    seed: int = 7
    vessels: int = 2000
    sister_fraction: float = 0.25
    """Share of blocks of four vessels that hold sister ships (two to four of one class)."""

    # Truth
    layout_bins: int = 32

    # Sensors; HOSS is 0.75 m optical and 1 m SAR (arXiv 2506.22027)
    optical_gsd_m: float = 0.75
    sar_gsd_m: float = 1.0
    off_nadir_deg: tuple[float, float] = (0.0, 32.0)
    sun_elevation_deg: tuple[float, float] = (22.0, 72.0)
    incidence_deg: tuple[float, float] = (20.0, 52.0)
    sar_resolution_m: tuple[float, float] = (1.0, 1.6)
    """Impulse response width, never finer than 1 pixel."""

    # Conditions
    haze_probability: float = 0.2
    cloud_probability: float = 0.06
    moving_probability: float = 0.2
    """Share of SAR views whose ship moved or rolled enough to be smeared along azimuth."""
    alongside_probability: float = 0.12
    bow_flip_probability: float = 0.25
    """Share of views whose bow points against the way this vessel mostly lies."""

    # Crops
    rotation_sd_deg: float = 2.0
    crop_margin: float = 0.16
    """Sea along the hull, both ends together, over the length of what shows of the ship."""
    crop_sd: float = 0.032
    """Spread of the crop's length against the ship's; with both sensors about 7 % in the ratio."""
    bad_crop_probability: float = 0.05
    """Share of crops that are 10 to 20 % too long or too short."""

    # Data set on disk
    optical_views: int = 2
    sar_views: int = 3
    validation_fraction: float = 0.1
    test_fraction: float = 0.15
    distractor_fraction: float = 0.35
    """Distractor vessels (id -1, gallery only) per test vessel; half match a test ship's size."""

    def __post_init__(self) -> None:
        """Refuse values that no simulation can use.

        Raises:
            ValueError: a share outside 0..1, an empty range or a count below one.
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
        if not 0.2 <= self.optical_gsd_m <= 5.0 or not 0.2 <= self.sar_gsd_m <= 5.0:
            raise ValueError("optical_gsd_m and sar_gsd_m must lie between 0.2 and 5 m")
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError("validation_fraction + test_fraction must leave ids for training")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimulatorConfig:
        """Build from a mapping (YAML or JSON); an unknown key is an error.

        Raises:
            ValueError: the mapping names a setting that does not exist.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown simulator settings {unknown}; known: {sorted(known)}")
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` reads them back."""
        return asdict(self)
