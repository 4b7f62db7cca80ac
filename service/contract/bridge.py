"""The Brownian bridge between an optical chip y and its SAR chip x0.

Source: BBDM (Li et al., CVPR 2023), as used by MOS (arXiv 2512.03404). With T times,

    m_t linear from 0.001 to 0.999,   sigma_t^2 = 2 (m_t - m_t^2) max_var,
    x_t = (1 - m_t) x0 + m_t y + sigma_t eps,

the network predicts the "grad" objective `m_t (y - x0) + sigma_t eps = x_t - x0`. Every reverse
step is linear, `x_n = a x0_hat + b y + c x_t + s eps`, so a table of coefficients describes the
whole sampler. Training (torch) and serving (numpy) call the same functions, which use only
arithmetic operators on their arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BridgeStep:
    """One reverse step from time `t`: `x_next = a x0_hat + b y + c x_t + s eps`."""

    t: int
    a: float
    b: float
    c: float
    s: float


def predicted_x0(x_t: Any, grad: Any) -> Any:
    """Return x0_hat from the network's "grad" output: `x_t - grad`. Any shape."""
    return x_t - grad


def reverse_step(step: BridgeStep, x0_hat: Any, y: Any, x_t: Any, noise: Any) -> Any:
    """Return `a x0_hat + b y + c x_t + s noise`, for numpy arrays or torch tensors of one shape."""
    return step.a * x0_hat + step.b * y + step.c * x_t + step.s * noise


def reverse_bridge(
    predict_grad: Callable[[Any, int], Any],
    y: Any,
    steps: Sequence[BridgeStep],
    draw_noise: Callable[[], Any],
) -> Any:
    """Sample x0 from y by the steps of a coefficient table; return x0, shaped like y.

    Args:
        predict_grad: the network with its condition bound: (x_t, t) -> grad, shaped like y.
        y: the optical ends, numpy array or torch tensor `[K, C, h, w]`.
        steps: of the bundle, or see `model_training.translator.schedule.coefficient_table`.
        draw_noise: draws standard normal noise shaped like y; called for every step with s > 0.
    """
    x_t = y
    for step in steps:
        x0_hat = predicted_x0(x_t, predict_grad(x_t, step.t))
        noise = draw_noise() if step.s > 0 else 0.0
        x_t = reverse_step(step, x0_hat, y, x_t, noise)
    return x_t
