"""Measure how well framing finds, turns and measures ships, on genuine and simulated scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.scenes import Scene, render_scene
from model_training.simulator.ships.vessel import VesselModel, sample_fleet
from service.contract.chip import Modality
from service.contract.framing.crop import TIGHT_LENGTH
from service.contract.framing.findings import Level
from service.contract.framing.frame import frame_chip
from service.contract.framing.rectangle import Rectangle

SSDD_CROP_PX = 300
SSDD_LEAST_PX = 64
SSDD_IOU = 0.5
_ON_WATER = 0.03
"""Share of bright surroundings up to which a labelled ship counts as lying on water."""
_SHIPSNET_GSD_M = 3.0

Box = tuple[float, float, float, float]
"""Centre x, centre y, width and height, pixels."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A framed chip as the contact sheet shows it."""

    pixels: NDArray[Any]
    outline: Rectangle | None
    right: bool
    label: Box | None = None


@dataclass(frozen=True, slots=True)
class SceneHits:
    """Ships found in labelled SAR scenes."""

    crops: int
    hits: int
    crops_on_water: int
    hits_on_water: int

    def document(self) -> dict[str, float]:
        """Return counts and rates for JSON."""
        return {
            "crops": self.crops,
            "hit_rate": self.hits / max(self.crops, 1),
            "crops_on_water": self.crops_on_water,
            "hit_rate_on_water": self.hits_on_water / max(self.crops_on_water, 1),
        }


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether chips with and without a ship are told apart.

    A chip passes when a ship is found and no finding is bad.
    """

    ships: int
    ships_not_found: int
    ships_not_passed: int
    empty: int
    empty_found: int
    empty_passed: int

    def document(self) -> dict[str, float]:
        """Return counts and rates for JSON."""
        return {
            "ships": self.ships,
            "ships_not_found": self.ships_not_found / max(self.ships, 1),
            "ships_not_passed": self.ships_not_passed / max(self.ships, 1),
            "empty": self.empty,
            "empty_found": self.empty_found / max(self.empty, 1),
            "empty_passed": self.empty_passed / max(self.empty, 1),
        }


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors on simulated scenes of one sensor; chips without a find count as misses.

    Lengths are compared with what a tight crop of the ship has, widths with the ship's beam.
    """

    scenes: int
    axis_within_3_deg: float
    axis_median_deg: float
    length_within_8_percent: float
    length_median_error: float
    length_bias: float
    width_median_error: float

    def document(self) -> dict[str, float]:
        """Return all numbers for JSON."""
        return asdict(self)


def measure_ssdd(folder: Path, seed: int, samples: list[Sample]) -> SceneHits:
    """Frame a crop of 300 x 300 pixels around each labelled ship of at least 64 pixels.

    The ship lies up to 30 pixels off the crop's middle. A hit is an intersection over union of at
    least 0.5 between the upright box around the outline and the label nearest the middle.

    Args:
        samples: receives every crop.

    Raises:
        OSError: a picture or label cannot be read.
    """
    crops = hits = crops_on_water = hits_on_water = 0
    for pixels, label, labels in _ssdd_crops(folder, np.random.default_rng(seed)):
        outline = frame_chip(pixels, Modality.SAR, 1.0).framing.outline
        hit = outline is not None and box_iou(_upright_box(outline), label) >= SSDD_IOU
        water = _bright_share(pixels, labels) < _ON_WATER
        crops, hits = crops + 1, hits + hit
        crops_on_water, hits_on_water = crops_on_water + water, hits_on_water + (water and hit)
        samples.append(Sample(pixels, outline, hit, label))
    return SceneHits(crops, hits, crops_on_water, hits_on_water)


def _ssdd_crops(
    folder: Path, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], Box, list[Box]]]:
    """Crops, the label that is meant, and all labels of the crop."""
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            scene = np.asarray(image.convert("L")).astype(np.float32)
        height, width = scene.shape
        lines = path.with_suffix(".txt").read_text().split("\n")
        shares = [tuple(map(float, line.split()[1:5])) for line in lines if line.strip()]
        boxes = [(x * width, y * height, w * width, h * height) for x, y, w, h in shares]
        for x, y, *size in boxes:
            if max(size) < SSDD_LEAST_PX:
                continue
            shift = rng.uniform(-30, 30, 2) - SSDD_CROP_PX / 2
            left = int(np.clip(x + shift[0], 0, max(width - SSDD_CROP_PX, 0)))
            top = int(np.clip(y + shift[1], 0, max(height - SSDD_CROP_PX, 0)))
            crop = scene[top : top + SSDD_CROP_PX, left : left + SSDD_CROP_PX]
            labels = [(bx - left, by - top, bw, bh) for bx, by, bw, bh in boxes]
            middle = (crop.shape[1] / 2, crop.shape[0] / 2)
            meant = min(labels, key=lambda box: np.hypot(box[0] - middle[0], box[1] - middle[1]))
            if max(meant[2:]) >= SSDD_LEAST_PX:
                yield crop, meant, labels


def _bright_share(pixels: NDArray[np.float32], labels: Sequence[Box]) -> float:
    """Share of the picture outside all labels that is as bright as land or quay."""
    outside = np.ones(pixels.shape, np.bool_)
    for x, y, width, height in labels:
        rows = slice(max(int(y - height / 2 - 8), 0), max(int(y + height / 2 + 8), 0))
        outside[rows, max(int(x - width / 2 - 8), 0) : max(int(x + width / 2 + 8), 0)] = False
    rows, columns = (size // 7 for size in pixels.shape)
    blocks = pixels[: rows * 7, : columns * 7].reshape(rows, 7, columns, 7).mean(axis=(1, 3))
    sea = blocks[outside[3 : rows * 7 : 7, 3 : columns * 7 : 7]]
    if sea.size < 10:
        return 1.0
    limit = max(0.4 * float(np.percentile(blocks, 99)), 3 * float(np.percentile(sea, 20)) + 5)
    return float((sea > limit).mean())


def _upright_box(outline: Rectangle) -> Box:
    """The upright box around an outline."""
    corners = np.array(outline.corners())
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle, size = (low + high) / 2, high - low
    return float(middle[0]), float(middle[1]), float(size[0]), float(size[1])


def box_iou(one: Box, two: Box) -> float:
    """Return intersection over union of two upright boxes."""
    shared = 1.0
    for axis in (0, 1):
        low = max(one[axis] - one[axis + 2] / 2, two[axis] - two[axis + 2] / 2)
        high = min(one[axis] + one[axis + 2] / 2, two[axis] + two[axis + 2] / 2)
        shared *= max(high - low, 0.0)
    return shared / max(one[2] * one[3] + two[2] * two[3] - shared, 1e-9)


def measure_shipsnet(folder: Path, samples: list[Sample]) -> Presence:
    """Frame chips with a ship (`1__*.png`) and without (`0__*.png`), 3 m per pixel.

    Raises:
        OSError: a picture cannot be read.
    """
    counts = {"0": [0, 0, 0], "1": [0, 0, 0]}
    for kind, (total, found, passed) in counts.items():
        for path in sorted(folder.glob(f"{kind}__*.png")):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            framing = frame_chip(pixels, Modality.OPTICAL, _SHIPSNET_GSD_M).framing
            is_found = framing.outline is not None
            passes = is_found and framing.worst is not Level.BAD
            total, found, passed = total + 1, found + is_found, passed + passes
            samples.append(Sample(pixels, framing.outline, passes == (kind == "1")))
        counts[kind] = [total, found, passed]
    ships, empty = counts["1"], counts["0"]
    return Presence(
        ships[0], ships[0] - ships[1], ships[0] - ships[2], empty[0], empty[1], empty[2]
    )


def scene_fleet(count: int, seed: int) -> tuple[SimulatorConfig, list[list[VesselModel]]]:
    """Return the conditions of `count` scenes, and the vessels of each: the ship, then neighbours.

    The fleet does not depend on the sensor, so that both sensors see the same ships.
    """
    config = SimulatorConfig(seed=seed)
    fleet = sample_fleet(4 * count, config.seed, config)
    return config, [fleet[4 * number : 4 * number + 2] for number in range(count)]


def simulate_scenes(modality: Modality, count: int, seed: int) -> Iterator[Scene]:
    """Render scenes of different vessels: one in four with a neighbour, one in seven at a quay."""
    config, vessels = scene_fleet(count, seed)
    rng = np.random.default_rng(seed)
    for number, (ship, neighbour) in enumerate(vessels):
        chance = float(rng.random())
        yield render_scene(
            ship,
            modality.value,
            number,
            config,
            rng,
            neighbours=[neighbour] if chance < 0.25 else (),
            quay=0.25 <= chance < 0.4,
        )


def measure_scenes(scenes: Sequence[Scene], samples: list[Sample]) -> Errors:
    """Frame simulated scenes of one sensor and compare with their truth.

    Raises:
        ValueError: there are no scenes.
    """
    if not scenes:
        raise ValueError("no scenes were given, so there is nothing to measure")
    axis_errors, ratios, widths = [], [], []
    for scene in scenes:
        modality = Modality(scene.modality)
        outline = frame_chip(scene.pixels, modality, scene.gsd_m).framing.outline
        if outline is None:
            axis_errors.append(90.0)
            ratios.append(0.0)
            widths.append(0.0)
        else:
            axis_errors.append(abs((outline.axis_deg - scene.axis_deg + 90.0) % 180.0 - 90.0))
            length_m, width_m = outline.length * scene.gsd_m, outline.width * scene.gsd_m
            ratios.append(length_m * TIGHT_LENGTH[modality] / scene.tight_length_m)
            widths.append(width_m / scene.beam_m)
        right = axis_errors[-1] <= 3.0 and abs(ratios[-1] - 1.0) <= 0.08
        samples.append(Sample(scene.pixels, outline, right))
    axis, ratio = np.array(axis_errors), np.array(ratios)
    return Errors(
        scenes=len(axis),
        axis_within_3_deg=float((axis <= 3.0).mean()),
        axis_median_deg=float(np.median(axis)),
        length_within_8_percent=float((np.abs(ratio - 1.0) <= 0.08).mean()),
        length_median_error=float(np.median(np.abs(ratio - 1.0))),
        length_bias=float(np.median(ratio) - 1.0),
        width_median_error=float(np.median(np.abs(np.array(widths) - 1.0))),
    )


def measure_cost(scene: Scene, side_px: int) -> float:
    """Return the least processor time of framing, of 15 runs, in milliseconds.

    Args:
        scene: what to frame; repeated or cut to the wanted size.
    """
    pixels = scene.pixels
    times = [-(-side_px // size) for size in pixels.shape[:2]]
    middle = np.median(pixels, axis=(0, 1)).astype(pixels.dtype)
    wide = np.empty((times[0] * pixels.shape[0], times[1] * pixels.shape[1], *pixels.shape[2:]))
    wide[:] = middle
    wide[: pixels.shape[0], : pixels.shape[1]] = pixels
    chip = np.ascontiguousarray(wide[:side_px, :side_px].astype(pixels.dtype))
    fastest = float("inf")
    for _ in range(15):
        start = time.process_time()
        frame_chip(chip, Modality(scene.modality), scene.gsd_m)
        fastest = min(fastest, time.process_time() - start)
    return fastest * 1e3


def write_contact_sheet(path: Path, samples: Sequence[Sample]) -> None:
    """Draw chips with outline (red) and label (green), wrong ones first and marked in yellow.

    Args:
        path: a picture of any format that Pillow writes, by its suffix.
        samples: at most the first 96 are drawn.
    """
    shown = sorted(samples, key=lambda sample: sample.right)[:96]
    per_row, side_px = 12, 180
    rows = -(-max(len(shown), 1) // per_row)
    sheet = Image.new("RGB", (per_row * (side_px + 4), rows * (side_px + 4)), "white")
    for number, sample in enumerate(shown):
        place = (number % per_row * (side_px + 4), number // per_row * (side_px + 4))
        sheet.paste(_picture(sample, side_px), place)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _picture(sample: Sample, side_px: int) -> Image.Image:
    """One chip, its longest side `side_px` long, with what was found."""
    pixels = sample.pixels
    if pixels.ndim == 2:
        bright = max(float(np.percentile(pixels, 99.7)), 1e-6)
        pixels = (np.sqrt(np.clip(pixels / bright, 0, 1)) * 255).astype(np.uint8)
    scale = side_px / max(pixels.shape[:2])
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    image = Image.fromarray(pixels).convert("RGB").resize(size)
    draw = ImageDraw.Draw(image)
    if sample.label is not None:
        x, y, width, height = (value * scale for value in sample.label)
        draw.rectangle(
            (x - width / 2, y - height / 2, x + width / 2, y + height / 2), outline="lime"
        )
    if sample.outline is not None:
        corners = sample.outline.corners()
        draw.polygon([(x * scale, y * scale) for x, y in corners], outline="red")
    if not sample.right:
        draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline="yellow", width=2)
    return image
