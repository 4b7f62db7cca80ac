"""Single draws from a few values: the ones `Generator.choice` gives, at a fifth of its cost.

`choice` turns its arguments into arrays and checks them at each call, which is most of the work
when one value is wanted; a ship and its visits take hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")


def pick(rng: np.random.Generator, values: Sequence[Value]) -> Value:
    """One of `values`, each as likely as the others."""
    return values[int(rng.integers(len(values)))]


def pick_weighted(
    rng: np.random.Generator, values: Sequence[Value], cumulative: Sequence[float]
) -> Value:
    """One of `values`; `cumulative` are the running sums of their shares, the last one 1."""
    return values[int(np.searchsorted(cumulative, rng.random(), side="right"))]
