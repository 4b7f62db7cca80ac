"""Test whether a classifier can tell the texture of simulated SAR chips from that of genuine ones.

A classifier two-sample test: a classifier learns to tell square patches of the two sets apart, and
is asked about ships that it has not seen. An area under its ROC curve (AUC) of 0.5 means that it
cannot; 1 that it always can. Patches show texture (speckle, contrast, side lobes, how strengths are
spread), not where on a ship things are.

Source: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests" (arXiv 1610.06545).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

PATCH_PX = 32
"""Side of a patch."""
_PATCHES = 8  # of each chip
_END_SHARE = 0.08  # of the chip's length at either end, mostly sea, that is left out
_FOLDS, _REPEATS = 5, 4
_RESAMPLES = 1000
_PERCENTILES = (10, 25, 50, 75, 90, 97)
_RINGS = (1.0, 2.5, 4.5, 7.0, 10.0, 13.0, 17.0)
"""Limits of the bands of spatial frequency, cycles per patch."""
_SECTORS = ((2.5, 7.0), (7.0, 16.0))
"""Bands in which power along the hull is compared with power across it."""
_SECTOR_RATIO = 2.0  # of the two frequencies, beyond which a direction counts as along or across
_LOCAL_WINDOW = 5
_TINY = 1e-9
_DARK = 0.02  # added to local means, so that the sea does not decide

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TwoSample:
    """How well simulated and genuine chips are told apart.

    Attributes:
        patch_auc: AUC over patches.
        ship_auc: AUC over chips, by the mean score of their patches.
        interval: 95 % interval of `ship_auc`, by bootstrap over chips of both sets.
    """

    patch_auc: float
    ship_auc: float
    interval: tuple[float, float]
    genuine: int
    simulated: int


def two_sample_test(genuine: Sequence[Floats], simulated: Sequence[Floats]) -> TwoSample:
    """Tell simulated from genuine SAR chips by a logistic regression on features of patches.

    The patches of a chip are never on both sides of a division into taught and asked. The score
    of a patch is its mean over `_REPEATS` divisions.

    Args:
        genuine: denoised chips ``[H, W]``, 0..1, at 1 m per pixel, one of each ship.
        simulated: the same; their number may differ.

    Raises:
        ValueError: fewer than `_FOLDS` chips of a set are large enough for a patch.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    features: list[list[float]] = []
    chip: list[int] = []
    counts: list[bool] = []
    for chips in (simulated, genuine):
        large = [pixels for pixels in chips if min(pixels.shape) >= PATCH_PX]
        if len(large) < _FOLDS:
            raise ValueError(
                f"{len(large)} chips are at least {PATCH_PX} pixels wide; {_FOLDS} are needed"
            )
        for pixels in large:
            features += [_features(patch) for patch in _patches(pixels, rng)]
            chip += [len(counts)] * _PATCHES
            counts.append(chips is genuine)
    x, of_chip, is_genuine = np.array(features), np.array(chip), np.array(counts)
    score = np.zeros(len(x))
    for _ in range(_REPEATS):
        fold = _folds(is_genuine, rng)[of_chip]
        for held_out in range(_FOLDS):
            taught = fold != held_out
            model = make_pipeline(
                StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", max_iter=1000)
            )
            model.fit(x[taught], is_genuine[of_chip[taught]])
            score[~taught] += model.decision_function(x[~taught])
    by_ship = np.bincount(of_chip, score) / _PATCHES
    resampled = []
    for _ in range(_RESAMPLES):
        sets = [np.flatnonzero(is_genuine == kind) for kind in (False, True)]
        drawn = np.concatenate([rng.choice(members, members.size) for members in sets])
        resampled.append(roc_auc_score(is_genuine[drawn], by_ship[drawn]))
    low, high = np.percentile(resampled, (2.5, 97.5))
    return TwoSample(
        patch_auc=float(roc_auc_score(is_genuine[of_chip], score)),
        ship_auc=float(roc_auc_score(is_genuine, by_ship)),
        interval=(float(low), float(high)),
        genuine=int(is_genuine.sum()),
        simulated=int((~is_genuine).sum()),
    )


def _folds(is_genuine: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Divide chips into folds with equal shares of both sets: int64, one number for each chip."""
    fold = np.empty(len(is_genuine), np.int64)
    for kind in (False, True):
        members = np.flatnonzero(is_genuine == kind)
        fold[members] = rng.permutation(len(members)) % _FOLDS
    return fold


def _patches(chip: Floats, rng: np.random.Generator) -> list[Floats]:
    """Cut patches at random places of a chip, its ends left out as far as it is long enough."""
    height, width = chip.shape
    first = int(_END_SHARE * height)
    last = max(height - first - PATCH_PX, first)
    rows = rng.integers(min(first, height - PATCH_PX), min(last, height - PATCH_PX) + 1, _PATCHES)
    columns = rng.integers(0, width - PATCH_PX + 1, _PATCHES)
    return [
        chip[row : row + PATCH_PX, column : column + PATCH_PX]
        for row, column in zip(rows, columns, strict=True)
    ]


def _features(patch: Floats) -> list[float]:
    """Measure a patch: values, their moments, power by frequency and direction, local contrast."""
    standard = (patch - patch.mean()) / (patch.std() + _TINY)
    window = np.hanning(PATCH_PX)
    power = np.abs(np.fft.fft2(standard * window[:, None] * window)) ** 2
    along = np.abs(np.fft.fftfreq(PATCH_PX, 1 / PATCH_PX))[:, None]
    across = along.T
    radius = np.hypot(along, across)

    def level(where: npt.NDArray[np.bool_]) -> float:
        return float(np.log(power[where].mean() + _TINY))

    bands = [(radius >= low) & (radius < high) for low, high in pairwise(_RINGS)]
    sectors = [(radius >= low) & (radius < high) for low, high in _SECTORS]
    directions = [
        level(sector & (along > _SECTOR_RATIO * across))
        - level(sector & (across > _SECTOR_RATIO * along))
        for sector in sectors
    ]
    curvature = ndimage.laplace(ndimage.gaussian_filter(standard, 1.0))
    square = float(np.mean(curvature**2)) + _TINY
    local = ndimage.uniform_filter(patch, _LOCAL_WINDOW)
    spread = np.sqrt((ndimage.uniform_filter(patch**2, _LOCAL_WINDOW) - local**2).clip(0))
    contrast = spread / (local + _DARK)
    return [
        *np.percentile(patch, _PERCENTILES),
        patch.mean(),
        patch.std(),
        (standard**3).mean(),
        (standard**4).mean(),
        *(level(band) for band in bands),
        *directions,
        float(np.log(square)),
        float(np.mean(curvature**4)) / square**2,
        float(np.median(contrast)),
        float(np.percentile(contrast, 90)),
    ]
