"""The schedule of the Brownian bridge, and the table of the reverse steps of its samplers.

The bridge itself is in `service.contract.bridge`; a bundle holds the table.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract.bridge import BridgeStep

M_MIN, M_MAX = 0.001, 0.999  # BBDM's code: m_t never reaches 0 or 1


@dataclass(frozen=True, slots=True)
class BridgeSchedule:
    """The forward bridge.

    Attributes:
        times: T, the number of discrete times, at least 2.
        max_variance: max_var; sigma_t^2 peaks at max_var / 2 half-way.
    """

    times: int = 1000
    max_variance: float = 1.0

    def __post_init__(self) -> None:
        if self.times < 2 or not self.max_variance > 0:
            raise ValueError(
                f"a bridge needs at least 2 times and a positive variance, "
                f"got {self.times} and {self.max_variance}"
            )

    def m(self) -> NDArray[np.float64]:
        """Return m_t for t = 0 … T-1: float64 `[T]`, from 0.001 to 0.999."""
        return np.linspace(M_MIN, M_MAX, self.times)

    def variance(self) -> NDArray[np.float64]:
        """Return sigma_t^2 for t = 0 … T-1: float64 `[T]`, not negative."""
        m = self.m()
        return np.asarray(2.0 * (m - m * m) * self.max_variance)


def step_times(times: int, steps: int) -> list[int]:
    """Return the descending times at which the network is called, evenly spaced from T-1.

    None of them is t = 0; the list of BBDM's code ends in 1, 0.

    Args:
        times: T.
        steps: number of network calls, 1 to T - 1.

    Raises:
        ValueError: `steps` is out of range.
    """
    if not 1 <= steps < times:
        raise ValueError(f"expected 1..{times - 1} steps, got {steps}")
    return [round(t) for t in np.linspace(times - 1, 0, steps + 1)[:-1]]


def coefficient_table(schedule: BridgeSchedule, steps: int, eta: float = 1.0) -> list[BridgeStep]:
    """Return the coefficients of every reverse step; the last step returns x0_hat itself.

    With n the next time, `s^2 = eta^2 (sigma_t^2 - sigma_n^2 (1-m_t)^2/(1-m_n)^2)
    sigma_n^2 / sigma_t^2` and `k = sqrt((sigma_n^2 - s^2) / sigma_t^2)`:
    `a = (1-m_n) - k (1-m_t)`, `b = m_n - k m_t`, `c = k`.

    With eta = 1 this is the released sampler. With eta < 1 it deviates from the released sampler,
    which scales s by eta but keeps eta = 1 in k: its x_n then has the variance
    `sigma_n^2 - (1 - eta^2) s_1^2` (s_1: the s of eta = 1), less than the forward bridge that the
    network was trained on. Here x_n keeps the variance sigma_n^2 at every eta.

    Args:
        eta: 0 for a deterministic sampler, 1 for the published stochastic one.

    Raises:
        ValueError: steps or eta are out of range.
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta must lie in 0..1, got {eta}")
    m, variance = schedule.m(), schedule.variance()
    visited = step_times(schedule.times, steps)
    table = []
    for t, n in itertools.pairwise(visited):
        ratio = ((1.0 - m[t]) / (1.0 - m[n])) ** 2
        s2 = eta**2 * max(variance[t] - variance[n] * ratio, 0.0) * variance[n] / variance[t]
        k = math.sqrt(max(variance[n] - s2, 0.0) / variance[t])
        table.append(
            BridgeStep(
                t=t,
                a=float((1.0 - m[n]) - k * (1.0 - m[t])),
                b=float(m[n] - k * m[t]),
                c=float(k),
                s=float(math.sqrt(s2)),
            )
        )
    table.append(BridgeStep(t=visited[-1], a=1.0, b=0.0, c=0.0, s=0.0))
    return table
