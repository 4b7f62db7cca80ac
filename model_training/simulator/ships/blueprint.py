"""Plan of a ship as a list of solids, in metres: x from the stern forwards, y to starboard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from model_training.simulator.ships.materials import Material

Shape = Literal["box", "disc", "beam"]
SIDES = (-1.0, 1.0)
"""Port and starboard, as factors of y."""
Size = tuple[float, float, float]
"""Length, width and height above the main deck of a box, metres."""
# Proportions of a crane's jib, chosen by eye.
_JIB_LEAST_WIDTH_M = 1.0
_JIB_WIDTH_OF_POST = 0.42
_JIB_TOP_OF_POST = 0.8  # the jib is lowered near the level


class Part(NamedTuple):
    """Solid that stands on the deck.

    A box spans x0..x1 and y0..y1; a disc is the ellipse (a dome where `dome`) in that
    rectangle; a beam runs from (x0, y0) to (x1, y1) and is `width` wide. `top` is metres above
    the main deck. Later parts of a blueprint cover earlier ones.
    """

    shape: Shape
    x0: float
    x1: float
    y0: float
    y1: float
    top: float
    material: Material
    width: float = 0.0
    dome: bool = False


@dataclass(frozen=True, slots=True)
class Crane:
    """Slewing crane: its post is permanent, the direction of its jib is drawn at each visit."""

    x: float
    y: float
    post_top: float
    """Height of the post above the main deck, metres."""
    post_size: float
    """Width of the post, metres."""
    jib: float
    """Length of the jib, metres."""
    park_angle: float
    """Radians from the bow direction in which the jib is stowed at sea."""


@dataclass(frozen=True, slots=True)
class Bay:
    """Place for a container stack across the deck; the containers are drawn at each visit."""

    x0: float
    x1: float
    half_width: float
    base: float
    """Height of the hatch cover on which the lowest tier stands, metres above the main deck."""
    max_tiers: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Hatch that may stand open at a visit."""

    x0: float
    x1: float
    y0: float
    y1: float
    top: float
    """Height of the closed cover, metres above the main deck."""
    folding: bool
    """Whether the open covers stand upright at both ends of the hatch."""


@dataclass(slots=True)
class Blueprint:
    """Plan under construction, to which the deck builders add."""

    length: float
    beam: float
    parts: list[Part] = field(default_factory=list)
    cranes: list[Crane] = field(default_factory=list)
    bays: list[Bay] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    cargo_deck: tuple[float, float, float] | None = None
    """Open deck that carries loose cargo at some visits: x0, x1, half width, in metres."""

    def box(
        self, x0: float, x1: float, y0: float, y1: float, top: float, material: Material
    ) -> None:
        """Add a box; swapped limits are put in order."""
        if x1 < x0:
            x0, x1 = x1, x0
        if y1 < y0:
            y0, y1 = y1, y0
        self.parts.append(Part("box", x0, x1, y0, y1, top, material))

    def block(
        self, x: float, y: float, length: float, width: float, top: float, material: Material
    ) -> None:
        """Add a box around its centre."""
        self.box(x - length / 2, x + length / 2, y - width / 2, y + width / 2, top, material)

    def across(
        self, x0: float, x1: float, half_width: float, top: float, material: Material
    ) -> None:
        """Add a box from x0 to x1 that reaches `half_width` to either side of the centre line."""
        self.box(x0, x1, -half_width, half_width, top, material)

    def pair(
        self, x: float, y: float, length: float, width: float, top: float, material: Material
    ) -> None:
        """Add two equal boxes, around (x, -y) to port and around (x, y) to starboard."""
        for side in SIDES:
            self.block(x, side * y, length, width, top, material)

    def disc(
        self, x: float, y: float, radius: float, top: float, material: Material, dome: bool = False
    ) -> None:
        """Add a cylinder, or a dome that rises to `top` in the middle."""
        self.parts.append(
            Part("disc", x - radius, x + radius, y - radius, y + radius, top, material, 0.0, dome)
        )

    def bar(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        width: float,
        top: float,
        material: Material,
    ) -> None:
        """Add a straight bar of any direction."""
        self.parts.append(Part("beam", x0, x1, y0, y1, top, material, width))


def jib_part(crane: Crane, angle: float) -> Part:
    """Return the jib of `crane` as it points `angle` radians from the bow."""
    dx, dy = np.cos(angle) * crane.jib, np.sin(angle) * crane.jib
    return Part(
        "beam",
        crane.x,
        crane.x + float(dx),
        crane.y,
        crane.y + float(dy),
        crane.post_top * _JIB_TOP_OF_POST,
        Material.CRANE,
        max(_JIB_LEAST_WIDTH_M, crane.post_size * _JIB_WIDTH_OF_POST),
    )
