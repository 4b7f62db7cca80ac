"""Measure chips, so that simulated ones can be compared with genuine ones.

The statistics are not fitted to identities.
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
from model_training.simulator.two_sample import two_sample_test
from model_training.simulator.views import render_view
from service.contract.chip import DEFAULT_GSD_M, Modality

SAR_DISPLAY_POWER = 0.7
"""Exponent of denoised SAR values where they are shown or averaged, as in METHOD's training."""

_BANDS = ((1, 3), (4, 8), (9, 16), (17, 32))
"""First and last frequency of each band of a profile's power, cycles per chip."""
_SAMPLES = 128
"""Samples of a profile along the hull."""
_LEAST_BLUR = 0.3  # samples; a shorter chip than the profile needs next to none
_PERCENTILES = (10, 25, 50, 75, 90, 99)
_NOISE_PERCENTILE = 5  # METHOD, step 1
_TINY = 1e-9  # avoids a division by 0
# Speckle is measured where the local mean lies between these shares of the chip's maximum:
# bright decks, without saturated corners. All five numbers are chosen by eye.
_BRIGHT_DECK = (0.25, 0.45)
_MEAN_WINDOW = 7
_DETREND_WINDOW = 9
_LEAST_BRIGHT_PIXELS = 30
# Profiles are compared at these shifts, up to 4 % of the chip, after removal of the slow part.
_SHIFTS = range(-5, 6)
_SLOW_SIGMA = 12.0


@dataclass(frozen=True, slots=True)
class MeasuredChip:
    """Chip to measure."""

    identity: int
    modality: str
    pixels: npt.NDArray[np.float64]
    """Optical ``[H, W, 3]`` 0..255; SAR ``[H, W]`` in the units of the product."""
    gsd_m: float


def read_folder(folder: Path) -> list[MeasuredChip]:
    """Read all chips `<id>_<...>_{RGB,SAR}.tif` of a folder, at 0.75 m and 1 m per pixel.

    Raises:
        FileNotFoundError: the folder holds no such chips.
    """
    chips = []
    for path in sorted(folder.glob("*_*.tif")):
        modality = Modality.SAR if path.stem.endswith("SAR") else Modality.OPTICAL
        with Image.open(path) as image:
            pixels = np.asarray(image, np.float64)
        identity = int(path.stem.split("_")[0])
        chips.append(MeasuredChip(identity, modality.value, pixels, DEFAULT_GSD_M[modality]))
    if not chips:
        raise FileNotFoundError(f"{folder} holds no chips named <id>_<...>_RGB.tif or _SAR.tif")
    return chips


def simulate_chips(ships: int, config: SimulatorConfig, workers: int = 1) -> list[MeasuredChip]:
    """Render two optical and one SAR view of each of `ships` vessels, as in the genuine sample."""
    fleet = sample_fleet(ships, config.seed, config)
    rendered = render_many(fleet, ("optical", "optical", "sar"), (0, 1, 0), workers, config)
    return [
        MeasuredChip(vessel.index, view.modality, np.asarray(view.pixels, np.float64), view.gsd_m)
        for vessel, views in zip(fleet, rendered, strict=True)
        for view in views
    ]


def denoise(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale the 5th percentile to 0 and the maximum to 1, and clip (METHOD, step 1)."""
    low = np.percentile(pixels, _NOISE_PERCENTILE)
    scaled: npt.NDArray[np.float64] = np.clip((pixels - low) / (pixels.max() - low + 1e-8), 0, 1)
    return scaled


def profile(chip: MeasuredChip) -> npt.NDArray[np.float64]:
    """Return the mean brightness or contrast across the hull at 128 places along it.

    SAR: denoised brightness to the power 0.7. Optical: contrast between neighbouring rows and
    columns of the grey image, as edges are what both sensors share.

    Returns:
        float64 ``[128]`` of zero mean and unit variance, top of the chip first.
    """
    if chip.modality == "sar":
        rows = (denoise(chip.pixels) ** SAR_DISPLAY_POWER).mean(1)
    else:
        grey = chip.pixels.mean(2)
        edges = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
        rows = edges.mean(1)
    at = np.linspace(0, rows.size - 1, _SAMPLES)
    smooth = ndimage.gaussian_filter1d(rows, max(rows.size / _SAMPLES / 2, _LEAST_BLUR))
    line = np.interp(at, np.arange(rows.size), smooth)
    scaled: npt.NDArray[np.float64] = (line - line.mean()) / (line.std() + _TINY)
    return scaled


def measure(chips: Sequence[MeasuredChip]) -> dict[str, float]:
    """Compute the statistics of a set of chips by name; NaN where nothing can be measured."""
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
    values = [np.percentile(denoise(c.pixels), _PERCENTILES) for c in sar]
    for k, q in enumerate(_PERCENTILES):
        out[f"SAR value after denoise, percentile {q}"] = _median([v[k] for v in values])
    out["SAR maximum"] = _median([c.pixels.max() for c in sar])
    out["SAR speckle on bright decks, deviation over mean"] = _median([_speckle(c)[0] for c in sar])
    out["SAR neighbour correlation on bright decks"] = _median([_speckle(c)[1] for c in sar])
    for k, band in enumerate(("red", "green", "blue")):
        out[f"optical mean, {band}"] = _median([c.pixels[..., k].mean() for c in optical])
        out[f"optical deviation, {band}"] = _median([c.pixels[..., k].std() for c in optical])
    out["length ratio optical over SAR, spread %"] = 100 * _ratio_spread(optical, sar)
    same_ship, other_ships = _profile_correlation(optical, sar)
    out["profile correlation optical to SAR, same ship"] = same_ship
    out["profile correlation optical to SAR, other ships"] = other_ships
    return out


def report(
    genuine: Path | None,
    config: SimulatorConfig,
    ships: int = 200,
    workers: int = 1,
    more_sar: Path | None = None,
) -> str:
    """Return the statistics of simulated chips, beside those of genuine ones, and the speed.

    Args:
        genuine: folder of genuine chips; None leaves their column empty.
        more_sar: folder of genuine SAR chips, TIFF, that only the two-sample test uses.

    Returns:
        A Markdown table, the two-sample test if there are genuine chips, and a line with the views
        per second.

    Raises:
        FileNotFoundError: a folder holds no chips.
        ValueError: too few SAR chips are large enough for the two-sample test.
    """
    simulated_chips = simulate_chips(ships, config, workers)
    simulated = measure(simulated_chips)
    genuine_chips = read_folder(genuine) if genuine is not None else []
    measured = measure(genuine_chips) if genuine_chips else {}
    lines = ["| statistic | genuine | simulated |", "|---|---|---|"]
    for name, value in simulated.items():
        shown = f"{measured[name]:.3g}" if name in measured else "-"
        lines.append(f"| {name} | {shown} | {value:.3g} |")
    radar = [chip.pixels for chip in genuine_chips if chip.modality == "sar"]
    if more_sar is not None:
        radar += _read_sar(more_sar)
    if radar:
        lines += ["", _two_sample_line(radar, simulated_chips)]
    lines += ["", f"{views_per_second(config):.0f} views per second and core (CPU time)"]
    return "\n".join(lines)


def _read_sar(folder: Path) -> list[npt.NDArray[np.float64]]:
    chips = []
    for path in sorted(folder.glob("*.tif")):
        with Image.open(path) as image:
            chips.append(np.asarray(image, np.float64))
    if not chips:
        raise FileNotFoundError(f"{folder} holds no SAR chips (*.tif)")
    return chips


def _two_sample_line(
    genuine: Sequence[npt.NDArray[np.float64]], simulated: Sequence[MeasuredChip]
) -> str:
    """Say how well SAR chips are told apart, those of ships that are as long as genuine ones."""
    shortest, longest = (pick(chip.shape[0] for chip in genuine) for pick in (min, max))
    alike = [
        chip.pixels
        for chip in simulated
        if chip.modality == "sar" and shortest <= chip.pixels.shape[0] <= longest
    ]
    test = two_sample_test([denoise(chip) for chip in genuine], [denoise(chip) for chip in alike])
    return (
        f"Simulated SAR chips ({test.simulated}) are told from genuine ones ({test.genuine}) with "
        f"an AUC of {test.patch_auc:.2f} by patch and {test.ship_auc:.2f} by ship "
        f"(95 % interval {test.interval[0]:.2f} to {test.interval[1]:.2f}; 0.5: not at all)"
    )


def views_per_second(config: SimulatorConfig) -> float:
    """Measure the views per second of CPU time: two optical and three SAR views of each ship.

    CPU time leaves out waiting, but not the cache misses and the lower clock that other processes
    on a busy machine cause; the median of five rounds over the same ships reduces their effect.
    """
    ships, optical_seeds, sar_seeds = 40, range(2), range(3)
    speeds = []
    for _ in range(5):
        started = process_time()
        for vessel in sample_fleet(ships, config.seed + 1, config):
            for seed in optical_seeds:
                render_view(vessel, "optical", seed, config)
            for seed in sar_seeds:
                render_view(vessel, "sar", seed, config)
        speeds.append((len(optical_seeds) + len(sar_seeds)) * ships / (process_time() - started))
    return float(np.median(speeds))


def _median(values: Iterable[float] | npt.NDArray[np.floating]) -> float:
    found = np.asarray(list(values), np.float64)
    found = found[np.isfinite(found)]
    return float(np.median(found)) if found.size else float("nan")


def _bands(line: npt.NDArray[np.float64]) -> list[float]:
    """Return the share of a profile's power in each band, without its mean."""
    power = np.abs(np.fft.rfft(line * np.hanning(line.size))) ** 2
    power /= power[1:].sum() + _TINY
    return [float(power[low : high + 1].sum()) for low, high in _BANDS]


def _speckle(chip: MeasuredChip) -> tuple[float, float]:
    """Return local deviation over mean, and correlation of neighbours, on bright decks."""
    x = chip.pixels
    mean = ndimage.uniform_filter(x, _MEAN_WINDOW)
    variance = ndimage.uniform_filter(x * x, _MEAN_WINDOW) - mean * mean
    darkest, brightest = _BRIGHT_DECK
    bright = (mean > darkest * x.max()) & (mean < brightest * x.max())
    if bright.sum() < _LEAST_BRIGHT_PIXELS:
        return float("nan"), float("nan")
    fine = x - ndimage.uniform_filter(x, _DETREND_WINDOW)
    both = bright[:, 1:] & bright[:, :-1]
    pairs = (fine[:, 1:] * fine[:, :-1])[both].mean() / (fine[bright] ** 2).mean()
    return float(np.median(np.sqrt(variance[bright].clip(0)) / mean[bright])), float(pairs)


def _ratio_spread(optical: Sequence[MeasuredChip], sar: Sequence[MeasuredChip]) -> float:
    """Return the deviation of the logarithm of optical over SAR chip length, ship by ship."""
    ratios = [
        np.log(o.pixels.shape[0] * o.gsd_m / (s.pixels.shape[0] * s.gsd_m))
        for o in optical
        for s in sar
        if o.identity == s.identity
    ]
    return float(np.std(ratios)) if ratios else float("nan")


def _profile_correlation(
    optical: Sequence[MeasuredChip], sar: Sequence[MeasuredChip]
) -> tuple[float, float]:
    """Return the mean best correlation of hull profiles, for the same ship and for other ships.

    The best is taken over both bow directions and shifts of up to 4 % of the chip.
    """
    optical_lines = _without_slow_part(np.stack([profile(o) for o in optical]))
    same_ship: list[float] = []
    other_ships: list[float] = []
    for s in sar:
        line = _without_slow_part(profile(s))
        moved = np.stack([np.roll(x, k) for x in (line, line[::-1]) for k in _SHIFTS])
        # [optical chips, samples] @ [samples, directions * shifts]
        best = (_unit(optical_lines) @ _unit(moved).T).max(1)
        for o, value in zip(optical, best, strict=True):
            (same_ship if o.identity == s.identity else other_ships).append(float(value))
    return float(np.mean(same_ship)) if same_ship else float("nan"), float(np.mean(other_ships))


def _without_slow_part(lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    slow: npt.NDArray[np.float64] = ndimage.gaussian_filter1d(lines, _SLOW_SIGMA, axis=-1)
    return lines - slow


def _unit(lines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale each row to unit norm."""
    unit: npt.NDArray[np.float64] = lines / (np.linalg.norm(lines, axis=1, keepdims=True) + _TINY)
    return unit
