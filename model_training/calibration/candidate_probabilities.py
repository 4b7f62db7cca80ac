"""Fit and apply the nested logit of `service.contract.candidate_probabilities`.

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
MAX_LOG_SUM = 0.9
"""Largest `none_log_sum`: 1 would mean that the candidates say nothing about "none"."""
_RIDGE = 1e-6

Floats = NDArray[np.float64]


def fit_choice(searches: Searches) -> ChoiceSpec:
    """Fit weights by maximum likelihood, each restricted to its `DIRECTION`.

    The outcome of a search is the query's own vessel if it is among the candidates, else none:
    the ship is not enrolled, or not among the `RERANKED_VESSELS` that are weighed. Every search
    has the same weight, so a gallery size counts by its number of searches. Evidence is divided by
    its standard deviation for the optimiser, and the ridge (1e-6 of the mean loss) keeps weights
    finite when data are separable. The search begins with a `none_log_sum` of 0, for which the
    likelihood is concave (McFadden 1974).

    Raises:
        ValueError: all searches find their vessel, or none does.
    """
    found_own = np.asarray(searches.correct.any(axis=1))
    if found_own.all() or not found_own.any():
        raise ValueError("calibration needs searches for enrolled ships and for ships not enrolled")
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
        total = log_sum(scores)
        logs = log_softmax(none @ theta[kinds:-1] + theta[-1] * total, scores)  # [S, 1 + M]
        surplus = (np.exp(logs) - outcome) / sizes.size
        # a score counts for its candidate, and for "none" by its share of the sum
        towards = surplus[:, 1:] + theta[-1] * surplus[:, :1] * np.exp(scores - total[:, None])
        slopes = np.einsum("sm,smk->k", towards, evidence, optimize=True)
        gradient = np.concatenate([slopes, surplus[:, 0] @ none, [surplus[:, 0] @ total]])
        loss = _RIDGE * theta @ theta - logs[outcome].mean()
        return float(loss), gradient + 2 * _RIDGE * theta

    optimum = minimize(
        loss_and_gradient,
        np.zeros(kinds + 3),
        jac=True,
        method="L-BFGS-B",
        bounds=[
            *((0, None) if DIRECTION[name] > 0 else (None, 0) for name in CANDIDATE_EVIDENCE),
            (None, None),
            (0, None),
            (0, MAX_LOG_SUM),
        ],
        options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8},
    )
    weights, slope = optimum.x[:kinds] / scale, optimum.x[kinds + 1] / spread
    bias = float(optimum.x[kinds] - slope * centre)
    return ChoiceSpec(
        weights=dict(zip(CANDIDATE_EVIDENCE, weights.tolist(), strict=True)),
        none_bias=bias,
        none_log_gallery=float(slope),
        none_log_sum=float(optimum.x[-1]),
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
    """Apply `contributions` and `probabilities_from_log_odds` of serving to many searches at once.

    Returns:
        float64 `[S, 1 + M]`, rows that sum to one: "none of them" first, then the candidates in
        their order, 0 where a search has fewer than M candidates.
    """
    return np.asarray(np.exp(log_softmax(*scores_of(searches, spec))))


def scores_of(searches: Searches, spec: ChoiceSpec) -> tuple[Floats, Floats]:
    """Return the scores of "none" float64 `[S]` and of candidates `[S, M]`, -inf where absent."""
    weights = np.array([spec.weights.get(name, 0.0) for name in EVIDENCE])
    scores = np.where(searches.present, searches.evidence @ weights, -np.inf)
    none = spec.none_bias + spec.none_log_gallery * np.log(searches.gallery_vessels)
    return none + spec.none_log_sum * log_sum(scores), scores


def log_sum(scores: Floats) -> Floats:
    """Return ln(sum of exp(score)) float64 `[S]` of candidates `[S, M]`; 0 where all are absent."""
    total = np.logaddexp.reduce(scores, axis=1)
    return np.where(np.isneginf(total), 0.0, total)


def log_softmax(none: Floats, scores: Floats) -> Floats:
    """Return log probabilities float64 `[S, 1 + M]` of none `[S]` and candidates `[S, M]`."""
    joined = np.concatenate([none[:, None], scores], axis=1)  # [S, 1 + M]
    shifted = joined - joined.max(axis=1, keepdims=True)  # so that exp cannot overflow
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
