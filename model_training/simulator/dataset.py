"""Writes a simulated data set in the HOSS folder layout.

    bounding_box_train/                      training ids, all views
    query/  bounding_box_test/               test ids, one optical and one SAR query each
    subset/{O2S,S2O}/{query,bounding_box_test}/   one direction; files are links to those above
    val/                                     the same for validation ids
    dataset.json  vessels.csv  truth/layout.npz
    truth/masks/<chip>.png  truth/geometry.jsonl  on demand, see `_TruthFiles`

Distractors (id -1) stand in the galleries only; half of them match the size of a test ship.
Source of the layout: HOSS ReID (arXiv 2506.22027).
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.pool import render_many
from model_training.simulator.ships.vessel import VesselModel, generator, sample_fleet, size_twin
from model_training.simulator.truth import LAYOUT_CHANNELS
from model_training.simulator.views import SensorName, View

FORMAT_VERSION = 1
_DISTRACTOR_OFFSET = 1_000_000
_SUFFIX = {"optical": "RGB", "sar": "SAR"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One ship of the data set."""

    vessel: VesselModel
    number: int
    """Identity in file names, -1 for a distractor."""
    split: str
    """train, validation or test."""


def write_dataset(
    config: SimulatorConfig,
    out_dir: Path,
    workers: int | None = None,
    *,
    truth: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Render and write a data set; returns the content of its dataset.json.

    Args:
        config: fleet size, views per ship, splits and conditions.
        out_dir: a new or empty folder.
        workers: processes, every core by default.
        truth: also write the mask and the geometry of each chip.
        progress: show a progress bar on stderr.

    Raises:
        FileExistsError: `out_dir` already holds something.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir} is not empty; a data set is written to a new folder")
    out_dir.mkdir(parents=True, exist_ok=True)
    entries = plan_entries(config)
    optical: list[SensorName] = ["optical"] * config.optical_views
    sar: list[SensorName] = ["sar"] * config.sar_views
    seeds = [*range(config.optical_views), *range(config.sar_views)]
    rendered = render_many([e.vessel for e in entries], optical + sar, seeds, workers, config)
    known = _Truth(_TruthFiles(out_dir) if truth else None)
    bar = tqdm(rendered, total=len(entries), desc="simulate", unit="ship", disable=not progress)
    for place, (entry, views) in enumerate(zip(entries, bar, strict=True)):
        _write_entry(out_dir, entry, place, views, known)
    known.write(out_dir / "truth" / "layout.npz")
    _write_vessels(out_dir / "vessels.csv", entries)
    about = _about(config, entries, known)
    (out_dir / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")
    return about


def plan_entries(config: SimulatorConfig) -> list[Entry]:
    """Split the fleet by identity, sister groups kept whole, and add the distractors.

    A class of sisters goes to one split: a model that has learnt one sister in training would
    know half the answer about the other.
    """
    fleet = sample_fleet(config.vessels, config.seed, config)
    blocks = [fleet[i : i + 4] for i in range(0, len(fleet), 4)]
    order = generator(config.seed, 41).permutation(len(blocks))
    wanted = {
        "test": round(config.test_fraction * len(fleet)),
        "validation": round(config.validation_fraction * len(fleet)),
    }
    split_of: dict[int, str] = {}
    filled = {"test": 0, "validation": 0}
    for place in order:
        name = next((s for s in filled if filled[s] < wanted[s]), "train")
        if name != "train":
            filled[name] += len(blocks[place])
        split_of |= {vessel.index: name for vessel in blocks[place]}
    entries = [Entry(v, v.index + 1, split_of[v.index]) for v in fleet]
    for name in ("validation", "test"):
        ships = [e.vessel for e in entries if e.split == name]
        entries += _distractors(config, ships, name)
    return entries


def _distractors(config: SimulatorConfig, ships: list[VesselModel], split: str) -> list[Entry]:
    count = round(config.distractor_fraction * len(ships))
    offset = _DISTRACTOR_OFFSET * (1 if split == "test" else 2)
    strangers = sample_fleet(count, config.seed + offset, config)
    chosen = [
        size_twin(ships[i % len(ships)], i, config.seed + offset) if i % 2 else strangers[i]
        for i in range(count)
    ]
    return [Entry(vessel, -1, split) for vessel in chosen]


class _TruthFiles:
    """What grows too large to collect: written under `truth/` as chips come.

    `masks/<chip>.png` is a chip's mask, grey, 255 where the ship is; `geometry.jsonl` has a line
    for each chip, in the order of `layout.npz`, as `geometry_record` gives it.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "truth"
        self.folder.mkdir()
        self.geometry = self.folder / "geometry.jsonl"

    def add(self, name: str, view: View) -> None:
        path = self.folder / "masks" / Path(name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(view.mask.astype(np.uint8) * 255).save(path)
        with self.geometry.open("a", encoding="utf-8") as file:
            file.write(json.dumps(geometry_record(name, view)) + "\n")


def geometry_record(name: str, view: View) -> dict[str, Any]:
    """A chip by its path in the data set, the ship's size, and the acquisition's geometry.

    Metres and radians; azimuths from the bow towards starboard, see `OpticalGeometry` and
    `SarGeometry` for the meaning of each.
    """
    acquisition = {key: float(value) for key, value in view.geometry.items()}
    return {
        "chip": name,
        "modality": view.modality,
        "gsd_m": view.gsd_m,
        "bow_up": view.bow_up,
        "length_m": view.length_m,
        "beam_m": view.beam_m,
        **acquisition,
    }


class _Truth:
    """Collects what the simulator knows, chip by chip."""

    def __init__(self, files: _TruthFiles | None) -> None:
        self.files = files
        self.names: list[str] = []
        self.layouts: list[np.ndarray[Any, Any]] = []
        self.bow_up: list[bool] = []

    def add(self, name: str, view: View) -> None:
        self.names.append(name)
        self.layouts.append(view.layout.astype(np.float16))
        self.bow_up.append(view.bow_up)
        if self.files is not None:
            self.files.add(name, view)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            names=np.array(self.names),
            layout=np.stack(self.layouts),
            bow_up=np.array(self.bow_up),
            channels=np.array(LAYOUT_CHANNELS),
        )


def _write_entry(
    root: Path, entry: Entry, place: int, views: Sequence[View], truth: _Truth
) -> None:
    asked: set[str] = set()
    for camera, view in enumerate(views, start=1):
        sequence = place if entry.number == -1 else 1
        number = "-1" if entry.number == -1 else f"{entry.number:04d}"
        name = f"{number}_s{sequence:02d}c{camera}_{_SUFFIX[view.modality]}.tif"
        if entry.split == "train":
            path = root / "bounding_box_train" / name
            write_chip(path, view)
        else:
            base = root if entry.split == "test" else root / "val"
            query = entry.number != -1 and view.modality not in asked
            asked.add(view.modality)
            path = _write_test_chip(base, name, view, query=query, known=entry.number != -1)
        truth.add(str(path.relative_to(root)), view)


def _write_test_chip(base: Path, name: str, view: View, *, query: bool, known: bool) -> Path:
    """Write to query/ or the gallery, and link into the published one-direction subsets."""
    path = base / ("query" if query else "bounding_box_test") / name
    write_chip(path, view)
    direction, other = ("O2S", "S2O") if view.modality == "optical" else ("S2O", "O2S")
    if known:
        _link(path, base / "subset" / direction / "query" / name)
    _link(path, base / "subset" / other / "bounding_box_test" / name)
    return path


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def write_chip(path: Path, view: View) -> None:
    """Write a chip as HOSS does: RGB uint8 or float32 in one band, deflated TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(view.pixels).save(path, format="TIFF", compression="tiff_adobe_deflate")


def _write_vessels(path: Path, entries: list[Entry]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "type", "length_m", "beam_m", "split", "sister_group"])
        for entry in entries:
            if entry.number == -1:
                continue
            ship = entry.vessel
            group = "" if ship.sister_group is None else f"{ship.sister_group + 1:04d}"
            table.writerow(
                [
                    f"{entry.number:04d}",
                    ship.vessel_type,
                    f"{ship.length_m:.1f}",
                    f"{ship.beam_m:.1f}",
                    entry.split,
                    group,
                ]
            )


def _about(config: SimulatorConfig, entries: list[Entry], truth: _Truth) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "domain": "simulated",
        "seed": config.seed,
        "config": config.to_dict(),
        "ids": {
            split: sum(e.split == split and e.number != -1 for e in entries)
            for split in ("train", "validation", "test")
        },
        "distractors": sum(e.number == -1 for e in entries),
        "chips": len(truth.names),
        "gsd_m": {"optical": config.optical_gsd_m, "sar": config.sar_gsd_m},
        "layout_channels": list(LAYOUT_CHANNELS),
    }
