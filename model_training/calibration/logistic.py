"""Fit and apply the logistic calibration of lone pairs of `service.contract.calibration`."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_training.calibration.searches import EVIDENCE
from service.contract.weighing.specs import EvidenceName, LogisticSpec

# The sign that each weight may have: more similar chips never get a lower probability.
DIRECTION: Mapping[EvidenceName, int] = {
    "similarity": 1,
    "similarity_z": 1,
    "length_log_ratio": -1,
    "width_log_ratio": -1,
}
# The evidence by which a lone pair is weighed.
PAIR_EVIDENCE: tuple[EvidenceName, ...] = ("similarity", "length_log_ratio", "width_log_ratio")
_RIDGE = 1e-6

Floats = NDArray[np.float64]


def fit_logistic(evidence: Floats, correct: NDArray[np.bool_]) -> LogisticSpec:
    """Fit weights by maximum likelihood, each restricted to its `DIRECTION`.

    Columns are standardised for the optimiser, the ridge (1e-6 of the mean loss) keeps weights
    finite when data are separable, and the weights are returned for raw evidence.

    Args:
        evidence: float64 `[N, 4]` in the order of `EVIDENCE`.
        correct: bool `[N]`, whether the pair shows one vessel.

    Raises:
        ValueError: there are not both right and wrong pairs.
    """
    if correct.all() or not correct.any():
        raise ValueError("calibration needs both right and wrong pairs to learn from")
    raw = evidence[:, [EVIDENCE.index(name) for name in PAIR_EVIDENCE]]
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale[scale == 0] = 1.0
    x = (raw - mean) / scale
    sign = np.where(correct, 1.0, -1.0)

    def loss_and_gradient(theta: Floats) -> tuple[float, Floats]:
        signed = sign * (theta[0] + x @ theta[1:])
        slope = -sign * sigmoid(-signed) / sign.size
        loss = np.logaddexp(0.0, -signed).mean() + _RIDGE * theta[1:] @ theta[1:]
        gradient = np.concatenate([[slope.sum()], slope @ x + 2 * _RIDGE * theta[1:]])
        return float(loss), gradient

    bounds = [(None, None)] + [(0, None) if DIRECTION[n] > 0 else (None, 0) for n in PAIR_EVIDENCE]
    optimum = minimize(
        loss_and_gradient,
        np.zeros(1 + len(PAIR_EVIDENCE)),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8},
    )
    weights = optimum.x[1:] / scale
    return LogisticSpec(
        bias=float(optimum.x[0] - weights @ mean),
        weights={name: float(weight) for name, weight in zip(PAIR_EVIDENCE, weights, strict=True)},
    )


def pair_probabilities(evidence: Floats, spec: LogisticSpec) -> Floats:
    """Apply `service.contract.calibration.probability` to many pairs at once.

    Args:
        evidence: float64 `[..., 4]` in the order of `EVIDENCE`.

    Returns:
        float64 `[...]`, 0..1.
    """
    weights = np.array([spec.weights.get(name, 0.0) for name in EVIDENCE])
    return sigmoid(spec.bias + evidence @ weights)


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logit)))
