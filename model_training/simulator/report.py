"""Measures chips, so that simulated ones can be set beside genuine ones.

`report` prints one table; nothing in it is fitted to identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.pool import render_many
from model_training.simulator.ships.vessel import sample_fleet
from model_training.simulator.views import render_view

_BANDS = ((1, 3), (4, 8), (9, 16), (17, 32))
_SAMPLES = 128


@dataclass(frozen=True, slots=True)
class MeasuredChip:
    """A chip to measure."""

    identity: int
    modality: str
    pixels: npt.NDArray[np.float64]
    """Optical ``[H, W, 3]`` 0..255; SAR ``[H, W]`` as the product has it."""
    gsd_m: float


def read_folder(
    folder: Path, optical_gsd_m: float = 0.75, sar_gsd_m: float = 1.0
) -> list[MeasuredChip]:
    """All chips `<id>_<...>_{RGB,SAR}.tif` of a folder.

    Raises:
        FileNotFoundError: there are none.
    """
    chips = []
    for path in sorted(folder.glob("*_*.tif")):
        sar = path.stem.endswith("SAR")
        with Image.open(path) as image:
            pixels = np.asarray(image, np.float64)
        identity = int(path.stem.split("_")[0])
        chips.append(
            MeasuredChip(
                identity, "sar" if sar else "optical", pixels, sar_gsd_m if sar else optical_gsd_m
            )
        )
    if not chips:
        raise FileNotFoundError(f"{folder} holds no chips named <id>_<...>_RGB.tif or _SAR.tif")
    return chips


def simulate_chips(ships: int, config: SimulatorConfig, workers: int = 1) -> list[MeasuredChip]:
    """Two optical and one SAR view of each of `ships` vessels, as in the genuine sample."""
    fleet = sample_fleet(ships, config.seed, config)
    rendered = render_many(fleet, ("optical", "optical", "sar"), (0, 1, 0), workers, config)
    return [
        MeasuredChip(vessel.index, view.modality, np.asarray(view.pixels, np.float64), view.gsd_m)
        for vessel, views in zip(fleet, rendered, strict=True)
        for view in views
    ]


def denoise(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """5th percentile to 0, maximum to 1 (METHOD, step 1)."""
    low = np.percentile(pixels, 5)
    scaled: npt.NDArray[np.float64] = np.clip((pixels - low) / (pixels.max() - low + 1e-8), 0, 1)
    return scaled


def profile(chip: MeasuredChip) -> npt.NDArray[np.float64]:
    """Mean along the hull at 128 places, zero mean and unit variance.

    SAR: denoised brightness to the power 0.7. Optical: contrast between neighbouring rows and
    columns of the grey image, as edges are what both sensors share.
    """
    if chip.modality == "sar":
        rows = (denoise(chip.pixels) ** 0.7).mean(1)
    else:
        grey = chip.pixels.mean(2)
        edges = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
        rows = edges.mean(1)
    at = np.linspace(0, rows.size - 1, _SAMPLES)
    smooth = ndimage.gaussian_filter1d(rows, max(rows.size / _SAMPLES / 2, 0.3))
    line = np.interp(at, np.arange(rows.size), smooth)
    scaled: npt.NDArray[np.float64] = (line - line.mean()) / (line.std() + 1e-9)
    return scaled


def measure(chips: Sequence[MeasuredChip]) -> dict[str, float]:
    """Statistics of a set of chips by name; NaN where there is nothing to measure."""
    out: dict[str, float] = {}
    optical = [c for c in chips if c.modality == "optical"]
    sar = [c for c in chips if c.modality == "sar"]
    for name, group in (("optical", optical), ("SAR", sar)):
        length = np.array([c.pixels.shape[0] * c.gsd_m for c in group])
        width = np.array([c.pixels.shape[1] * c.gsd_m for c in group])
        out[f"{name} chip length, median m"] = _median(length)
        out[f"{name} chip length, spread m"] = float(length.std())
        out[f"{name} chip width, median m"] = _median(width)
        out[f"{name} chip length over width, median"] = _median(length / width)
        spectra = np.array([_bands(profile(c)) for c in group])
        for k, (low, high) in enumerate(_BANDS):
            out[f"{name} profile power at {low}-{high} cycles per chip, %"] = _median(
                100 * spectra[:, k]
            )
    values = [np.percentile(denoise(c.pixels), (10, 25, 50, 75, 90, 99)) for c in sar]
    for k, q in enumerate((10, 25, 50, 75, 90, 99)):
        out[f"SAR value after denoise, percentile {q}"] = _median([v[k] for v in values])
    out["SAR maximum"] = _median([c.pixels.max() for c in sar])
    out["SAR speckle on bright decks, deviation over mean"] = _median([_speckle(c)[0] for c in sar])
    out["SAR neighbour correlation on bright decks"] = _median([_speckle(c)[1] for c in sar])
    for k, band in enumerate(("red", "green", "blue")):
        out[f"optical mean, {band}"] = _median([c.pixels[..., k].mean() for c in optical])
        out[f"optical deviation, {band}"] = _median([c.pixels[..., k].std() for c in optical])
    out["length ratio optical over SAR, spread %"] = 100 * _ratio_spread(optical, sar)
    own, others = _correspondence(optical, sar)
    out["profile correlation optical to SAR, same ship"] = own
    out["profile correlation optical to SAR, other ships"] = others
    return out


def report(
    genuine: Path | None, config: SimulatorConfig, ships: int = 200, workers: int = 1
) -> str:
    """A Markdown table: genuine chips (where a folder is given) beside simulated ones."""
    simulated = measure(simulate_chips(ships, config, workers))
    real = measure(read_folder(genuine)) if genuine is not None else {}
    lines = ["| statistic | genuine | simulated |", "|---|---|---|"]
    for name, value in simulated.items():
        shown = f"{real[name]:.3g}" if name in real else "-"
        lines.append(f"| {name} | {shown} | {value:.3g} |")
    lines += ["", f"{views_per_second(config):.0f} views per second and core (CPU time)"]
    return "\n".join(lines)


def views_per_second(config: SimulatorConfig, ships: int = 40, rounds: int = 5) -> float:
    """Throughput of one process: two optical and three SAR views a ship, per second of CPU time.

    CPU time leaves out waiting, but not what neighbours on a busy machine cost in cache and clock;
    the median of `rounds` over the same ships takes the edge off that.
    """
    speeds = []
    for _ in range(rounds):
        started = process_time()
        for vessel in sample_fleet(ships, config.seed + 1, config):
            for seed in (0, 1):
                render_view(vessel, "optical", seed, config)
            for seed in (0, 1, 2):
                render_view(vessel, "sar", seed, config)
        speeds.append(5 * ships / (process_time() - started))
    return float(np.median(speeds))


def _median(values: Iterable[float] | npt.NDArray[np.floating]) -> float:
    found = np.asarray(list(values), np.float64)
    found = found[np.isfinite(found)]
    return float(np.median(found)) if found.size else float("nan")


def _bands(line: npt.NDArray[np.float64]) -> list[float]:
    power = np.abs(np.fft.rfft(line * np.hanning(line.size))) ** 2
    power /= power[1:].sum() + 1e-9
    return [float(power[low : high + 1].sum()) for low, high in _BANDS]


def _speckle(chip: MeasuredChip) -> tuple[float, float]:
    """Local deviation over mean and correlation of neighbours where the deck is bright."""
    x = chip.pixels
    mean = ndimage.uniform_filter(x, 7)
    variance = ndimage.uniform_filter(x * x, 7) - mean * mean
    bright = (mean > 0.25 * x.max()) & (mean < 0.45 * x.max())
    if bright.sum() < 30:
        return float("nan"), float("nan")
    fine = x - ndimage.uniform_filter(x, 9)
    both = bright[:, 1:] & bright[:, :-1]
    pairs = (fine[:, 1:] * fine[:, :-1])[both].mean() / (fine[bright] ** 2).mean()
    return float(np.median(np.sqrt(variance[bright].clip(0)) / mean[bright])), float(pairs)


def _ratio_spread(optical: Sequence[MeasuredChip], sar: Sequence[MeasuredChip]) -> float:
    ratios = [
        np.log(o.pixels.shape[0] * o.gsd_m / (s.pixels.shape[0] * s.gsd_m))
        for o in optical
        for s in sar
        if o.identity == s.identity
    ]
    return float(np.std(ratios)) if ratios else float("nan")


def _correspondence(
    optical: Sequence[MeasuredChip], sar: Sequence[MeasuredChip]
) -> tuple[float, float]:
    """Mean best correlation of hull profiles over either bow direction and shifts of 4 %."""
    shifts = range(-5, 6)
    table = np.stack([profile(o) for o in optical])
    table = table - ndimage.gaussian_filter1d(table, 12, axis=1)
    own: list[float] = []
    others: list[float] = []
    for s in sar:
        line = profile(s)
        line = line - ndimage.gaussian_filter1d(line, 12)
        turned = np.stack([np.roll(x, k) for x in (line, line[::-1]) for k in shifts])
        turned /= np.linalg.norm(turned, axis=1, keepdims=True) + 1e-9
        best = (table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-9) @ turned.T).max(1)
        for o, value in zip(optical, best, strict=True):
            (own if o.identity == s.identity else others).append(float(value))
    return float(np.mean(own)) if own else float("nan"), float(np.mean(others))
