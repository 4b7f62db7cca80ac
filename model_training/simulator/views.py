"""Render one view of one vessel, by either sensor."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import bow_up
from model_training.simulator.sensors import optical, sar, sar_geometry
from model_training.simulator.ships.materials import FloatArray
from model_training.simulator.ships.structure import build_structure
from model_training.simulator.ships.vessel import VesselModel, generator
from model_training.simulator.ships.visit import make_visit

SensorName = Literal["optical", "sar"]
_STREAM = {"optical": 31, "sar": 32}
"""Keys that keep the random streams of the sensors apart."""


@dataclass(frozen=True, slots=True)
class View:
    """Chip and everything the simulator knows about it."""

    pixels: npt.NDArray[np.uint8] | FloatArray
    """Optical: uint8 ``[H, W, 3]`` RGB. SAR: float32 ``[H, W]``, compressed amplitude 0..2.4."""
    modality: SensorName
    gsd_m: float
    layout: FloatArray
    """Permanent deck layout, float32 ``[bins, channels]`` (`truth.LAYOUT_CHANNELS`), equal bins
    over the hull, top of the chip first; it depends on the sensor only through `bow_up`."""
    mask: npt.NDArray[np.bool_]
    """Pixels that show the ship, ``[H, W]``."""
    bow_up: bool
    length_m: float
    beam_m: float
    geometry: dict[str, float]
    """Angles of the acquisition (radians), freeboard (m), and the crop's size (m)."""


def render_view(
    vessel: VesselModel,
    modality: SensorName,
    view_seed: int,
    config: SimulatorConfig,
    gsd_m: float | None = None,
) -> View:
    """Render `vessel` as `modality` sees it; equal arguments give equal pixels.

    Args:
        view_seed: acquisition number; two seeds are two visits under different conditions.
        gsd_m: metres per pixel; None takes that of the sensor from `config`.

    Raises:
        ValueError: `modality` is neither "optical" nor "sar".
    """
    if modality not in _STREAM:
        raise ValueError(f"modality is {modality!r}; it must be 'optical' or 'sar'")
    rng = generator(vessel.detail_seed, _STREAM[modality], view_seed)
    structure = build_structure(vessel, config.layout_bins)
    visit = make_visit(structure, rng)
    up = bow_up(vessel.detail_seed, config, rng)
    if modality == "optical":
        gsd = gsd_m if gsd_m is not None else config.optical_gsd_m
        light = optical.draw_geometry(config, rng)
        sight = optical.render(structure, visit, light, gsd, config, rng)
        angles = _fields(light)
    else:
        gsd = gsd_m if gsd_m is not None else config.sar_gsd_m
        look = sar_geometry.draw_geometry(config, gsd, rng)
        sight = sar.render(structure, visit, look, gsd, config, rng)
        angles = _fields(look)
        angles["drift_per_height"], angles["drift_along"] = angles.pop("drift")
    angles |= {
        "freeboard_m": visit.freeboard_m,
        "crop_height_m": sight.frame.height_m,
        "crop_width_m": sight.frame.width_m,
    }
    turn = slice(None, None, -1) if up else slice(None)  # sensors render with the bow down
    return View(
        pixels=sight.pixels[turn, turn].copy(),
        modality=modality,
        gsd_m=gsd,
        layout=np.ascontiguousarray(structure.layout[turn]),
        mask=np.ascontiguousarray(sight.mask[turn, turn]),
        bow_up=up,
        length_m=vessel.length_m,
        beam_m=vessel.beam_m,
        geometry=angles,
    )


def _fields(geometry: optical.OpticalGeometry | sar_geometry.SarGeometry) -> dict[str, Any]:
    """Return the values by name, without the deep copies that `asdict` makes."""
    return {field.name: getattr(geometry, field.name) for field in fields(geometry)}
