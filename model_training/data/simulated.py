"""Render a simulated fleet into a chip store, shard by shard, from its seed."""

import multiprocessing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator
from tqdm import tqdm

from model_training.data.cache import (
    CachedChip,
    PictureStore,
    require_settings,
    shard_numbers,
    write_shard,
)
from model_training.simulator import SimulatorConfig, VesselModel, View, render_view
from model_training.simulator.ships.catalogue import TYPE_NAMES
from model_training.simulator.ships.vessel import sample_vessel
from model_training.simulator.truth import layout_in_crop
from model_training.training.config import TypedConfig
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import denoise_sar

SHARD_VESSELS = 100
FLEET_FILE = "fleet.json"
_NOT_OF_A_SHIP = {
    "folder",
    "vessels",
    "validation_vessels",
    "processes",
    "initial_vessels",
    "growth_steps",
}
"""Settings that change no ship's chips, so that a folder may serve runs that differ in them."""


class FleetConfig(TypedConfig):
    """The ships of a fleet, and the number of views of each.

    Validation ships are another fleet, of `validation_seed`. Ships are rendered in whole shards; a
    fleet can grow, because ship i depends on its seed and number alone. `simulator` overrides
    settings of `SimulatorConfig`; `processes` is the number of rendering processes (default: one
    per core).

    With `initial_vessels`, training begins when so many ships are rendered. The others are rendered
    meanwhile by one process of low priority, and are added evenly over the first `growth_steps`
    steps.
    """

    folder: Path
    seed: int = Field(ge=0)
    validation_seed: int = Field(ge=0)
    vessels: int = Field(ge=SHARD_VESSELS, multiple_of=SHARD_VESSELS)
    validation_vessels: int = Field(300, ge=SHARD_VESSELS, multiple_of=SHARD_VESSELS)
    optical_views: int = Field(2, ge=1)
    sar_views: int = Field(2, ge=1)
    simulator: dict[str, Any] = Field(default_factory=dict)
    processes: int | None = Field(None, ge=1)
    initial_vessels: int | None = Field(None, ge=SHARD_VESSELS, multiple_of=SHARD_VESSELS)
    growth_steps: int = Field(1000, ge=1)

    @model_validator(mode="after")
    def _require_different_fleets(self) -> "FleetConfig":
        if self.seed == self.validation_seed:
            raise ValueError("validation_seed must differ from seed: no ship may be in both")
        if self.initial_vessels is not None and self.initial_vessels > self.vessels:
            raise ValueError("initial_vessels exceeds vessels: a fleet begins with a part of it")
        return self


def prepare_fleet(fleet: FleetConfig, spec: PreprocessSpec) -> tuple[PictureStore, PictureStore]:
    """Render missing shards, and open the stores of training and validation ships.

    Training chips are turned so that the bow points down, and layouts begin at the stern and have
    the margins of a usual crop; augmentation then turns ships at random. Validation chips stay as
    they were rendered. Of a fleet with `initial_vessels`, only these are opened as training ships;
    `growing.FleetGrowth` opens the others.

    Raises:
        StoreError: the folder holds a fleet of other settings.
        ValueError: `simulator` names a setting that does not exist.
    """
    _require_same_fleet(fleet, spec)
    first = fleet.vessels if fleet.initial_vessels is None else fleet.initial_vessels
    parts = {"validation": fleet.validation_vessels, "train": first}
    shards = {part: range(vessels // SHARD_VESSELS) for part, vessels in parts.items()}
    missing = [
        (part, number)
        for part in shards
        for number in sorted(set(shards[part]) - set(shard_numbers(fleet.folder / part)))
    ]
    if missing:
        render = partial(render_shard, fleet, spec.denoise_percentile)
        with multiprocessing.get_context("spawn").Pool(fleet.processes) as pool:
            done = pool.imap_unordered(render, missing)
            for _ in tqdm(done, total=len(missing), desc="simulate", unit="shard"):
                pass  # each process writes its shards to disk
    return (
        PictureStore(fleet.folder / "train", shards["train"]),
        PictureStore(fleet.folder / "validation", shards["validation"]),
    )


def _require_same_fleet(fleet: FleetConfig, spec: PreprocessSpec) -> None:
    """Record the settings of a new folder, or refuse a folder of a fleet with other settings."""
    settings = fleet.model_dump(mode="json", exclude=_NOT_OF_A_SHIP)
    simulator = SimulatorConfig.model_validate(fleet.simulator)
    settings["simulator"] = simulator.model_dump(mode="json")
    settings["denoise_percentile"] = spec.denoise_percentile
    require_settings(fleet.folder / FLEET_FILE, settings)


def render_shard(fleet: FleetConfig, percentile: float | None, shard: tuple[str, int]) -> None:
    """Render all views of the ships of a shard (part, number) and write them."""
    part, number = shard
    training = part == "train"
    config = SimulatorConfig.model_validate(fleet.simulator)
    chips, layouts, kinds = [], [], []
    for index in range(number * SHARD_VESSELS, (number + 1) * SHARD_VESSELS):
        vessel = sample_vessel(index, fleet.seed if training else fleet.validation_seed, config)
        views = _views(vessel, fleet, config)
        chips += [_cached_chip(view, index, percentile, bow_down=training) for view in views]
        layout = views[0].layout[::-1] if views[0].bow_up else views[0].layout
        layouts.append(layout_in_crop(layout, config.crop_margin).T)  # [channels, positions]
        family = -1 if vessel.sister_group is None else vessel.sister_group
        kinds.append((TYPE_NAMES.index(vessel.vessel_type), family))
    write_shard(
        fleet.folder / part,
        number,
        chips,
        np.stack(layouts).astype(np.float16),
        np.array(kinds, np.int32),
    )


def _views(vessel: VesselModel, fleet: FleetConfig, config: SimulatorConfig) -> list[View]:
    optical = [render_view(vessel, "optical", view, config) for view in range(fleet.optical_views)]
    return optical + [render_view(vessel, "sar", view, config) for view in range(fleet.sar_views)]


def _cached_chip(
    view: View, vessel: int, percentile: float | None, *, bow_down: bool
) -> CachedChip:
    modality = Modality(view.modality)
    pixels = view.pixels[::-1, ::-1] if view.bow_up and bow_down else view.pixels
    if modality is Modality.SAR:
        grey = denoise_sar(pixels.astype(np.float32), percentile)
        picture = np.repeat(grey[:, :, None], 3, axis=2)  # [H, W] -> [H, W, 3]
    else:
        picture = np.asarray(pixels, np.uint8)
    return CachedChip(picture, modality, view.gsd_m, vessel)
