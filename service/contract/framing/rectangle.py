"""The rectangle around a ship."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in pixels: row and column of its centre, sides, and axis of the long side.

    The axis is in degrees clockwise from the top, 0 to below 180. Pixel centres are at whole
    numbers.
    """

    row: float
    column: float
    length: float
    width: float
    axis_deg: float

    def scaled(self, factor: float) -> "Rectangle":
        """Return the rectangle in pixels that are `factor` times finer."""
        return Rectangle(
            (self.row + 0.5) * factor - 0.5,
            (self.column + 0.5) * factor - 0.5,
            self.length * factor,
            self.width * factor,
            self.axis_deg,
        )

    def shrunk(self, margin: float) -> "Rectangle":
        """Return the rectangle less `margin` pixels on all sides, but at least half as wide."""
        margin = min(margin, 0.25 * self.width)
        return Rectangle(
            self.row, self.column, self.length - 2 * margin, self.width - 2 * margin, self.axis_deg
        )

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return x (column) and y (row) of the four corners, in turn round the rectangle."""
        angle = math.radians(self.axis_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        half_length, half_width = self.length / 2, self.width / 2
        ways = (
            (half_length, -half_width),
            (half_length, half_width),
            (-half_length, half_width),
            (-half_length, -half_width),
        )
        return tuple(
            (self.column + along * sin + across * cos, self.row - along * cos + across * sin)
            for along, across in ways
        )
