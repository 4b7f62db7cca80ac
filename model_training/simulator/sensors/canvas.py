"""Gather the echoes of a SAR acquisition in the image plane, and cut the crop out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from model_training.simulator.cropping import Frame
from model_training.simulator.ships.materials import FloatArray

_SEA_M = 9.0  # around the ship and its layover on each side; chosen by eye
_CUT_ALONG = 0.006
_CUT_ACROSS = 0.02
"""Share of the brightness that lies outside the extent of the ship at each end; chosen by eye."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Image plane around the ship; its middle is the middle of the ship's deck."""

    high: int
    """Rows of pixels, along the hull."""
    wide: int
    """Columns of pixels, across it."""
    gsd_m: float
    length_m: float
    """Length of the ship."""

    @classmethod
    def around(
        cls, ship_m: tuple[float, float], layover_m: tuple[float, float], gsd_m: float
    ) -> Canvas:
        """Return a canvas with room for a ship and its layover.

        Args:
            ship_m: length and width of the ship.
            layover_m: how far echoes are laid over along and across the ship.
        """
        high, wide = (
            fft.next_fast_len(int((size + 2 * (_SEA_M + abs(layover))) / gsd_m))
            for size, layover in zip(ship_m, layover_m, strict=True)
        )
        return cls(high, wide, gsd_m, ship_m[0])

    def cells(
        self, x: FloatArray, y: FloatArray, power: FloatArray
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Return the flat pixel of each echo and its power per m²; drop echoes outside the canvas.

        Args:
            x: metres from the stern, one per echo.
            y: metres to starboard of the centre line.
        """
        r = ((x - self.length_m / 2) / self.gsd_m + self.high / 2).astype(np.int64)
        c = (y / self.gsd_m + self.wide / 2).astype(np.int64)
        inside = (r >= 0) & (r < self.high) & (c >= 0) & (c < self.wide)
        cells = r * self.wide + c
        if not inside.all():
            cells, power = cells[inside], power[inside]
        return cells, power / np.float32(self.gsd_m**2)

    def splat(self, x: FloatArray, y: FloatArray, power: FloatArray) -> FloatArray:
        """Sum the powers of the echoes in each pixel, float32 ``[high, wide]``."""
        cells, share = self.cells(x, y, power)
        grid = np.bincount(cells, weights=share, minlength=self.high * self.wide)
        return grid.astype(np.float32).reshape(self.high, self.wide)

    def extent(self, intensity: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return where the bright part of the ship begins and ends along x and y, in metres."""
        # Most of the canvas is sea, which has no echo yet and whose logarithm is 0.
        bright = np.zeros_like(intensity)
        ship = np.flatnonzero(intensity)
        bright.ravel()[ship] = np.log1p(np.sqrt(intensity.ravel()[ship]))
        r0, r1 = _limits(bright.sum(1), _CUT_ALONG)
        c0, c1 = _limits(bright.sum(0), _CUT_ACROSS)
        gsd, half = self.gsd_m, self.length_m / 2
        return (
            ((r0 - self.high / 2) * gsd + half, (r1 - self.high / 2) * gsd + half),
            ((c0 - self.wide / 2) * gsd, (c1 - self.wide / 2) * gsd),
        )

    def cut(
        self, amplitude: FloatArray, ship: npt.NDArray[np.bool_], frame: Frame
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Cut out amplitude and ship mask of the frame, moved to whole pixels.

        A frame that reaches beyond the canvas continues with the sea of its opposite side.
        """
        rows, columns = frame.pixels(self.gsd_m)
        r0 = round((frame.centre_x - self.length_m / 2) / self.gsd_m + self.high / 2 - rows / 2)
        c0 = round(frame.centre_y / self.gsd_m + self.wide / 2 - columns / 2)
        r, c = np.arange(r0, r0 + rows) % self.high, np.arange(c0, c0 + columns) % self.wide
        return amplitude.take(r, axis=0).take(c, axis=1), ship.take(r, axis=0).take(c, axis=1)


def _limits(profile: npt.NDArray[np.floating], cut: float) -> tuple[int, int]:
    """Return first and last index of a profile without a share `cut` of its sum at each end."""
    total = np.cumsum(profile)
    first, last = np.searchsorted(total, [cut * total[-1], (1 - cut) * total[-1]])
    return int(first), int(last) + 1
