"""Fit and apply the probabilities of `service.contract.candidate_probabilities`."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_training.calibration.logistic import DIRECTION
from model_training.calibration.searches import EVIDENCE, Searches
from service.contract.manifest import ChoiceSpec, EvidenceName

# What a candidate is weighed by. Instead of the similarity itself its Fisher transform: by
# cross-validation over identities more likely, and better calibrated, than the plain cosine.
CHOICE_EVIDENCE: tuple[EvidenceName, ...] = (
    "similarity_z",
    "length_log_ratio",
    "width_log_ratio",
)
_RIDGE = 1e-6

Floats = NDArray[np.float64]


def fit_choice(searches: Searches) -> ChoiceSpec:
    """Maximum likelihood, with each weight held to its `DIRECTION`.

    The outcome of a search is the query's own vessel where it is among the candidates, else none:
    a ship that is not enrolled, or not among the `RERANKED_VESSELS` that are weighed. Every search
    counts alike, so gallery sizes count by their number of searches. Evidence is divided by its
    deviation for the optimiser, and the ridge (1e-6 of the mean loss) only keeps separable data
    finite. The likelihood is concave (McFadden 1974), so the optimum is the only one.

    Raises:
        ValueError: there are not both searches that find their vessel and searches that do not.
    """
    own = np.asarray(searches.correct.any(axis=1))
    if own.all() or not own.any():
        raise ValueError("calibration needs searches that find their vessel and some that do not")
    raw = searches.evidence[..., [EVIDENCE.index(name) for name in CHOICE_EVIDENCE]]
    scale = raw[searches.present].std(axis=0)
    scale[scale == 0] = 1.0
    sizes = np.log(searches.gallery_vessels)
    centre, spread = sizes.mean(), sizes.std() or 1.0
    evidence = np.where(searches.present[..., None], raw / scale, 0.0)
    none = np.stack([np.ones(sizes.size), (sizes - centre) / spread], axis=1)
    outcome = np.concatenate([~own[:, None], searches.correct], axis=1)
    kinds = len(CHOICE_EVIDENCE)

    def loss_and_gradient(theta: Floats) -> tuple[float, Floats]:
        scores = np.where(searches.present, evidence @ theta[:kinds], -np.inf)
        logs = _log_shares(none @ theta[kinds:], scores)
        surplus = (np.exp(logs) - outcome) / sizes.size
        slopes = np.einsum("sm,smk->k", surplus[:, 1:], evidence, optimize=True)
        gradient = np.concatenate([slopes, surplus[:, 0] @ none])
        loss = _RIDGE * theta @ theta - logs[outcome].mean()
        return float(loss), gradient + 2 * _RIDGE * theta

    found = minimize(
        loss_and_gradient,
        np.zeros(kinds + 2),
        jac=True,
        method="L-BFGS-B",
        bounds=[
            *((0, None) if DIRECTION[name] > 0 else (None, 0) for name in CHOICE_EVIDENCE),
            (None, None),
            (0, None),
        ],
        options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8},
    )
    weights, slope = found.x[:kinds] / scale, found.x[-1] / spread
    return ChoiceSpec(
        weights=dict(zip(CHOICE_EVIDENCE, weights.tolist(), strict=True)),
        none_bias=float(found.x[kinds] - slope * centre),
        none_log_gallery=float(slope),
    )


def choice_probabilities(searches: Searches, spec: ChoiceSpec) -> Floats:
    """`service.contract.candidate_probabilities.choose` for many searches at once.

    Returns:
        float64 `[S, 1 + M]`, rows that sum to one: none of the candidates first, then the
        candidates in their order, 0 where there is none.
    """
    weights = np.array([spec.weights.get(name, 0.0) for name in EVIDENCE])
    scores = np.where(searches.present, searches.evidence @ weights, -np.inf)
    none = spec.none_bias + spec.none_log_gallery * np.log(searches.gallery_vessels)
    return np.asarray(np.exp(_log_shares(none, scores)))


def _log_shares(none: Floats, scores: Floats) -> Floats:
    """Logarithms of the shares: float64 `[S, 1 + M]` of none `[S]` and candidates `[S, M]`."""
    everything = np.concatenate([none[:, None], scores], axis=1)
    highest = everything.max(axis=1, keepdims=True)
    total = np.log(np.exp(everything - highest).sum(axis=1, keepdims=True))
    return np.asarray(everything - highest - total)
