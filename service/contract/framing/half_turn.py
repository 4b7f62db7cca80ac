"""Compare a chip both ways round: an axis does not tell at which end of it the bow is.

A chip and its half turn are both embedded, and the chip counts with the more similar of the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class BetterWay:
    """How N known chips compare with a query whose bow may be at either end.

    Attributes:
        similarity: float64 `[N]`, cosine with the more similar of the query's two ways, -1 to 1.
        turned: bool `[N]`, whether that is the half turn.
        certainty: float64 `[N]`, probability, 0.5 to 1, that the chosen way is the right one, if
            both chips show one ship.
    """

    similarity: NDArray[np.float64]
    turned: NDArray[np.bool_]
    certainty: NDArray[np.float64]


def half_turn(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return a chip's pixels `[H, W]` or `[H, W, 3]` turned by 180 degrees, nothing resampled."""
    return np.ascontiguousarray(pixels[::-1, ::-1])


def better_way(
    as_framed: ArrayLike, turned: ArrayLike, certainty_slope: float, preference: ArrayLike = 0.0
) -> BetterWay:
    """Choose for each known chip the way round in which the query resembles it more.

    A half turn counts with its cosine less the preference. The certainty is
    `sigmoid(slope x |difference of what counts|)`. On a tie the chip counts as it was framed.

    Args:
        as_framed: float `[N]`, cosines of the query's embedding with those of the known chips.
        turned: float `[N]`, the same for the query's half turn.
        certainty_slope: `BothWaysSpec.certainty_slope` of the bundle, 0 or more.
        preference: float, one for all or `[N]`, 0 or more: what speaks for the query as it was
            framed, before the chips are compared.

    Raises:
        ValueError: the two differ in shape.
    """
    straight, back = np.asarray(as_framed, np.float64), np.asarray(turned, np.float64)
    if straight.shape != back.shape:
        raise ValueError(
            f"each known chip needs a cosine both ways, got {straight.shape} and {back.shape}"
        )
    back = np.maximum(back - np.asarray(preference, np.float64), -1.0)
    certainty = 1.0 / (1.0 + np.exp(-certainty_slope * np.abs(straight - back)))
    return BetterWay(np.maximum(straight, back), back > straight, np.asarray(certainty))
