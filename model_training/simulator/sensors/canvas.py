"""The image plane of a SAR acquisition: echoes gathered in pixels, and the crop cut out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from model_training.simulator.cropping import Frame
from model_training.simulator.ships.materials import FloatArray


@dataclass(frozen=True, slots=True)
class Canvas:
    """The image plane around the ship; its middle is the middle of the ship's deck."""

    high: int
    wide: int
    gsd_m: float
    length_m: float

    @classmethod
    def around(
        cls, ship_m: tuple[float, float], layover_m: tuple[float, float], gsd_m: float
    ) -> Canvas:
        """Room for a ship (length, width) and for what is laid over along and across it."""
        high, wide = (
            fft.next_fast_len(int((size + 2 * (9.0 + abs(layover))) / gsd_m))
            for size, layover in zip(ship_m, layover_m, strict=True)
        )
        return cls(high, wide, gsd_m, ship_m[0])

    def cells(
        self, x: FloatArray, y: FloatArray, power: FloatArray
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Flat pixel of each echo and its power per pixel; what falls outside is dropped."""
        r = ((x - self.length_m / 2) / self.gsd_m + self.high / 2).astype(np.int64)
        c = (y / self.gsd_m + self.wide / 2).astype(np.int64)
        ok = (r >= 0) & (r < self.high) & (c >= 0) & (c < self.wide)
        cells = r * self.wide + c
        if not ok.all():
            cells, power = cells[ok], power[ok]
        return cells, power / np.float32(self.gsd_m**2)

    def splat(self, x: FloatArray, y: FloatArray, power: FloatArray) -> FloatArray:
        """Sum of the powers in each pixel, ``[high, wide]``."""
        cells, share = self.cells(x, y, power)
        grid = np.bincount(cells, weights=share, minlength=self.high * self.wide)
        return grid.astype(np.float32).reshape(self.high, self.wide)

    def extent(self, intensity: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where the bright part of the ship begins and ends, in ship metres (x, y)."""
        # Most of the canvas is sea, which has no echo yet and whose logarithm is 0.
        bright = np.zeros_like(intensity)
        ship = np.flatnonzero(intensity)
        bright.ravel()[ship] = np.log1p(np.sqrt(intensity.ravel()[ship]))
        r0, r1 = _limits(bright.sum(1), 0.006)
        c0, c1 = _limits(bright.sum(0), 0.02)
        gsd, half = self.gsd_m, self.length_m / 2
        return (
            ((r0 - self.high / 2) * gsd + half, (r1 - self.high / 2) * gsd + half),
            ((c0 - self.wide / 2) * gsd, (c1 - self.wide / 2) * gsd),
        )

    def cut(
        self, amplitude: FloatArray, ship: npt.NDArray[np.bool_], frame: Frame
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Cut the frame out (whole pixels); beyond the canvas its other side's sea goes on."""
        rows, columns = frame.pixels(self.gsd_m)
        r0 = round((frame.centre_x - self.length_m / 2) / self.gsd_m + self.high / 2 - rows / 2)
        c0 = round(frame.centre_y / self.gsd_m + self.wide / 2 - columns / 2)
        r, c = np.arange(r0, r0 + rows) % self.high, np.arange(c0, c0 + columns) % self.wide
        return amplitude.take(r, axis=0).take(c, axis=1), ship.take(r, axis=0).take(c, axis=1)


def _limits(profile: npt.NDArray[np.floating], cut: float) -> tuple[int, int]:
    total = np.cumsum(profile)
    first, last = np.searchsorted(total, [cut * total[-1], (1 - cut) * total[-1]])
    return int(first), int(last) + 1
