"""Write a simulated data set in the HOSS folder layout.

    bounding_box_train/                      training ids, all views
    query/  bounding_box_test/               test ids, one optical and one SAR query each
    subset/{O2S,S2O}/{query,bounding_box_test}/   one direction; files are links to those above
    val/                                     the same for validation ids
    dataset.json  vessels.csv  truth/layout.npz
    provenance.csv                           if pixels have other sizes than those of HOSS
    truth/masks/<chip>.png  truth/geometry.jsonl  on demand, see `_TruthFiles`

Distractors (id -1) are in the galleries only; half of them match the size of a test ship.
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
from service.contract.chip import DEFAULT_GSD_M, Modality
from service.contract.hoss_names import DISTRACTOR_ID, PROVENANCE_FILE

FORMAT_VERSION = 1
_DISTRACTOR_SEED_OFFSET = 1_000_000
"""Keeps the fleets from which distractors are drawn apart from the data set's own."""
_SPLIT_STREAM = 41
"""Key that keeps the random stream of the split apart from those of the ships."""
_SUFFIX = {"optical": "RGB", "sar": "SAR"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Ship of the data set."""

    vessel: VesselModel
    number: int
    """Identity in file names, `DISTRACTOR_ID` for a distractor."""
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
    """Render and write a data set; return the content of dataset.json.

    Args:
        config: fleet size, views per ship, splits and conditions.
        out_dir: a new or empty folder.
        workers: processes; None takes every core.
        truth: also write the mask and the geometry of each chip.

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
    recorded = _Truth(_TruthFiles(out_dir) if truth else None)
    bar = tqdm(rendered, total=len(entries), desc="simulate", unit="ship", disable=not progress)
    for index, (entry, views) in enumerate(zip(entries, bar, strict=True)):
        _write_entry(out_dir, entry, index, views, recorded)
    recorded.write(out_dir / "truth" / "layout.npz")
    _write_vessels(out_dir / "vessels.csv", entries)
    _write_pixel_sizes(out_dir, recorded.names, config)
    about = _about(config, entries, recorded)
    (out_dir / "dataset.json").write_text(json.dumps(about, indent=2) + "\n")
    return about


def plan_entries(config: SimulatorConfig) -> list[Entry]:
    """Split the fleet by identity, keep sister groups whole, and add the distractors.

    Sister ships go to one split: a model trained on one of them would know half the answer about
    the others.

    Returns:
        All ships of the fleet, then the distractors of the validation and of the test split.
    """
    fleet = sample_fleet(config.vessels, config.seed, config)
    size = config.sister_block
    blocks = [fleet[i : i + size] for i in range(0, len(fleet), size)]
    order = generator(config.seed, _SPLIT_STREAM).permutation(len(blocks))
    target = {
        "test": round(config.test_fraction * len(fleet)),
        "validation": round(config.validation_fraction * len(fleet)),
    }
    split_of: dict[int, str] = {}
    filled = {"test": 0, "validation": 0}
    for block in order:
        name = next((s for s in filled if filled[s] < target[s]), "train")
        if name != "train":
            filled[name] += len(blocks[block])
        split_of |= {vessel.index: name for vessel in blocks[block]}
    entries = [Entry(v, v.index + 1, split_of[v.index]) for v in fleet]
    for name in ("validation", "test"):
        ships = [e.vessel for e in entries if e.split == name]
        entries += _distractors(config, ships, name)
    return entries


def _distractors(config: SimulatorConfig, ships: list[VesselModel], split: str) -> list[Entry]:
    """Draw distractors for a split, in turn unrelated ships and size twins of its `ships`."""
    count = round(config.distractor_fraction * len(ships))
    offset = _DISTRACTOR_SEED_OFFSET * (1 if split == "test" else 2)
    unrelated = sample_fleet(count, config.seed + offset, config)
    distractors = [
        size_twin(ships[i % len(ships)], i, config.seed + offset) if i % 2 else unrelated[i]
        for i in range(count)
    ]
    return [Entry(vessel, DISTRACTOR_ID, split) for vessel in distractors]


class _TruthFiles:
    """Writer of the truth that is too large to collect in memory, chip by chip under `truth/`.

    `masks/<chip>.png` is a chip's mask, grey, 255 where the ship is; `geometry.jsonl` has a line
    for each chip, in the order of `layout.npz`, as `geometry_record` returns it.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "truth"
        self.folder.mkdir()
        self.geometry = self.folder / "geometry.jsonl"

    def add(self, name: str, view: View) -> None:
        """Write the mask and the geometry of the chip at the path `name` in the data set."""
        path = self.folder / "masks" / Path(name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(view.mask.astype(np.uint8) * 255).save(path)
        with self.geometry.open("a", encoding="utf-8") as file:
            file.write(json.dumps(geometry_record(name, view)) + "\n")


def geometry_record(name: str, view: View) -> dict[str, Any]:
    """Return a chip's path in the data set, the ship's size, and the acquisition's geometry.

    Lengths are in metres and angles in radians, azimuths from the bow towards starboard;
    `OpticalGeometry` and `SarGeometry` define each value.
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
    """Truth of all chips, collected in memory and written at the end."""

    def __init__(self, files: _TruthFiles | None) -> None:
        self.files = files
        self.names: list[str] = []
        self.layouts: list[np.ndarray[Any, Any]] = []
        self.bow_up: list[bool] = []

    def add(self, name: str, view: View) -> None:
        """Record the chip at the path `name` in the data set."""
        self.names.append(name)
        self.layouts.append(view.layout.astype(np.float16))
        self.bow_up.append(view.bow_up)
        if self.files is not None:
            self.files.add(name, view)

    def write(self, path: Path) -> None:
        """Write names, layouts, bow directions and channel names as a compressed .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            names=np.array(self.names),
            layout=np.stack(self.layouts),
            bow_up=np.array(self.bow_up),
            channels=np.array(LAYOUT_CHANNELS),
        )


def _write_entry(
    root: Path, entry: Entry, index: int, views: Sequence[View], truth: _Truth
) -> None:
    """Write the chips of a ship; in test and validation, its first of each sensor is a query."""
    distractor = entry.number == DISTRACTOR_ID
    number = str(DISTRACTOR_ID) if distractor else f"{entry.number:04d}"
    # All distractors share one id, so their names are told apart by the sequence.
    sequence = index if distractor else 1
    with_query: set[str] = set()
    for camera, view in enumerate(views, start=1):
        name = f"{number}_s{sequence:02d}c{camera}_{_SUFFIX[view.modality]}.tif"
        if entry.split == "train":
            path = root / "bounding_box_train" / name
            write_chip(path, view)
        else:
            base = root if entry.split == "test" else root / "val"
            query = not distractor and view.modality not in with_query
            with_query.add(view.modality)
            path = _write_test_chip(base, name, view, query=query, distractor=distractor)
        truth.add(str(path.relative_to(root)), view)


def _write_test_chip(base: Path, name: str, view: View, *, query: bool, distractor: bool) -> Path:
    """Write a chip to query/ or the gallery, and link it into the one-direction subsets."""
    path = base / ("query" if query else "bounding_box_test") / name
    write_chip(path, view)
    optical = view.modality == "optical"
    query_of, gallery_of = ("O2S", "S2O") if optical else ("S2O", "O2S")
    if not distractor:
        _link(path, base / "subset" / query_of / "query" / name)
    _link(path, base / "subset" / gallery_of / "bounding_box_test" / name)
    return path


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def write_chip(path: Path, view: View) -> None:
    """Write a chip as HOSS does: RGB uint8 or float32 in one band, deflated TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(view.pixels).save(path, format="TIFF", compression="tiff_adobe_deflate")


def _write_pixel_sizes(root: Path, names: Sequence[str], config: SimulatorConfig) -> None:
    """State metres per pixel of each chip, which the layout cannot, unless they are the usual."""
    gsd_m = {"RGB": config.optical_gsd_m, "SAR": config.sar_gsd_m}
    usual = {"RGB": DEFAULT_GSD_M[Modality.OPTICAL], "SAR": DEFAULT_GSD_M[Modality.SAR]}
    if gsd_m == usual:
        return
    for base in ("", "val"):
        files = [Path(n).name for n in names if n.startswith("val/") == (base == "val")]
        if not files:
            continue
        with (root / base / PROVENANCE_FILE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["file", "gsd_m"])
            table.writerows([name, gsd_m[name[-7:-4]]] for name in files)


def _write_vessels(path: Path, entries: list[Entry]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "type", "length_m", "beam_m", "split", "sister_group"])
        for entry in entries:
            if entry.number == DISTRACTOR_ID:
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
    """Return the content of dataset.json."""
    return {
        "format": FORMAT_VERSION,
        "domain": "simulated",
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "ids": {
            split: sum(e.split == split and e.number != DISTRACTOR_ID for e in entries)
            for split in ("train", "validation", "test")
        },
        "distractors": sum(e.number == DISTRACTOR_ID for e in entries),
        "chips": len(truth.names),
        "gsd_m": {"optical": config.optical_gsd_m, "sar": config.sar_gsd_m},
        "layout_channels": list(LAYOUT_CHANNELS),
    }
