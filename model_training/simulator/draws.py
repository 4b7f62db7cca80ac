"""Named draws from a random generator: ranges, counts, chances and choices.

`pick` and `pick_weighted` return what `Generator.choice` returns, and leave the generator in the
same state, at a fifth of the cost: `choice` turns its arguments into arrays and checks them at
each call, and a ship and its visits take hundreds of draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
Range = tuple[float, float]
"""Lower and upper bound of a uniform draw."""
Counts = tuple[int, int]
"""Smallest and largest result of a uniform draw of whole numbers, both included."""
Value = TypeVar("Value")


def uniform(rng: Rng, limits: Range) -> float:
    """Return a number between `limits`, each equally likely."""
    return rng.uniform(*limits)


def whole(rng: Rng, limits: Counts) -> int:
    """Return a whole number from `limits[0]` to `limits[1]`, each equally likely."""
    low, high = limits
    return int(rng.integers(low, high + 1))


def chance(rng: Rng, probability: float) -> bool:
    """Return True with the given probability."""
    return rng.random() < probability


def pick(rng: Rng, values: Sequence[Value]) -> Value:
    """Return one of `values`, each equally likely."""
    return values[int(rng.integers(len(values)))]


def pick_weighted(rng: Rng, values: Sequence[Value], cumulative: Sequence[float]) -> Value:
    """Return one of `values`; `cumulative` holds the running sums of their shares, up to 1."""
    return values[int(np.searchsorted(cumulative, rng.random(), side="right"))]
