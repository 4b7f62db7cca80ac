"""Fit and apply the conditional logit of `service.contract.candidate_probabilities`.

Shapes: S searches, M weighed candidates, K kinds of evidence.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_training.calibration.logistic import DIRECTION
from model_training.calibration.searches import EVIDENCE, Searches
from service.contract.weighing.specs import ChoiceSpec, EvidenceName

# The evidence by which a candidate is weighed. The Fisher transform of the similarity stands in
# for the cosine itself: in cross-validation over identities its likelihood and calibration are
# better.
CANDIDATE_EVIDENCE: tuple[EvidenceName, ...] = (
    "similarity_z",
    "length_log_ratio",
    "width_log_ratio",
)
_RIDGE = 1e-6

Floats = NDArray[np.float64]


def fit_choice(searches: Searches) -> ChoiceSpec:
    """Fit weights by maximum likelihood, each restricted to its `DIRECTION`.

    The outcome of a search is the query's own vessel if it is among the candidates, else none:
    the ship is not enrolled, or not among the `RERANKED_VESSELS` that are weighed. Every search
    has the same weight, so a gallery size counts by its number of searches. Evidence is divided by
    its standard deviation for the optimiser, and the ridge (1e-6 of the mean loss) keeps weights
    finite when data are separable. The likelihood is concave (McFadden 1974), so the optimum is
    unique.

    Raises:
        ValueError: there are not both searches that find their vessel and searches that do not.
    """
    found_own = np.asarray(searches.correct.any(axis=1))
    if found_own.all() or not found_own.any():
        raise ValueError("calibration needs searches that find their vessel and some that do not")
    # The four kinds of evidence reduced to the K that are used: [S, M, 4] -> [S, M, K].
    raw = searches.evidence[..., [EVIDENCE.index(name) for name in CANDIDATE_EVIDENCE]]
    scale = raw[searches.present].std(axis=0)
    scale[scale == 0] = 1.0
    sizes = np.log(searches.gallery_vessels)
    centre, spread = sizes.mean(), sizes.std() or 1.0
    evidence = np.where(searches.present[..., None], raw / scale, 0.0)
    none = np.stack([np.ones(sizes.size), (sizes - centre) / spread], axis=1)  # [S, 2]
    outcome = np.concatenate([~found_own[:, None], searches.correct], axis=1)  # [S, 1 + M]
    kinds = len(CANDIDATE_EVIDENCE)

    def loss_and_gradient(theta: Floats) -> tuple[float, Floats]:
        scores = np.where(searches.present, evidence @ theta[:kinds], -np.inf)  # [S, M]
        logs = log_softmax(none @ theta[kinds:], scores)  # [S, 1 + M]
        surplus = (np.exp(logs) - outcome) / sizes.size
        slopes = np.einsum("sm,smk->k", surplus[:, 1:], evidence, optimize=True)
        gradient = np.concatenate([slopes, surplus[:, 0] @ none])
        loss = _RIDGE * theta @ theta - logs[outcome].mean()
        return float(loss), gradient + 2 * _RIDGE * theta

    optimum = minimize(
        loss_and_gradient,
        np.zeros(kinds + 2),
        jac=True,
        method="L-BFGS-B",
        bounds=[
            *((0, None) if DIRECTION[name] > 0 else (None, 0) for name in CANDIDATE_EVIDENCE),
            (None, None),
            (0, None),
        ],
        options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8},
    )
    weights, slope = optimum.x[:kinds] / scale, optimum.x[-1] / spread
    bias = float(optimum.x[kinds] - slope * centre)
    return ChoiceSpec(
        weights=dict(zip(CANDIDATE_EVIDENCE, weights.tolist(), strict=True)),
        none_bias=bias,
        none_log_gallery=float(slope),
        centres=_centres(raw[searches.present & ~searches.correct], weights, bias),
    )


def _centres(others: Floats, weights: Floats, none_bias: float) -> dict[EvidenceName, float]:
    """Divide `none_bias` among the evidence, see `ChoiceSpec`.

    The likelihood ratio of a size has the mean 1 over other vessels, as every likelihood ratio
    has; the pixels take the rest.

    Args:
        others: float64 `[N, K]`, evidence of candidates that are not the query's vessel.
        weights: float64 `[K]`.
        none_bias: the bias to divide.
    """
    centres: dict[EvidenceName, float] = {}
    for column, name in enumerate(CANDIDATE_EVIDENCE):
        if name != "similarity_z":
            centres[name] = -float(np.log(np.exp(weights[column] * others[:, column]).mean()))
    return {"similarity_z": -none_bias - sum(centres.values()), **centres}


def candidate_probabilities(searches: Searches, spec: ChoiceSpec) -> Floats:
    """Apply `probabilities_from_log_odds` of serving to many searches at once.

    Returns:
        float64 `[S, 1 + M]`, rows that sum to one: "none of them" first, then the candidates in
        their order, 0 where a search has fewer than M candidates.
    """
    weights = np.array([spec.weights.get(name, 0.0) for name in EVIDENCE])
    scores = np.where(searches.present, searches.evidence @ weights, -np.inf)
    none = spec.none_bias + spec.none_log_gallery * np.log(searches.gallery_vessels)
    return np.asarray(np.exp(log_softmax(none, scores)))


def log_softmax(none: Floats, scores: Floats) -> Floats:
    """Return log probabilities float64 `[S, 1 + M]` of none `[S]` and candidates `[S, M]`."""
    joined = np.concatenate([none[:, None], scores], axis=1)  # [S, 1 + M]
    shifted = joined - joined.max(axis=1, keepdims=True)  # so that exp cannot overflow
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
