"""The probability of each chip's vessel when no vessel may be named for two chips.

Chips of one image show different ships. Alone, chip i shows vessel v with odds w_iv against "none
of them". Together, an assignment a of vessels or none to all chips has

    P(a)  proportional to  the product of w_i,a(i) over all chips with a vessel,

times c(k), where no vessel occurs twice and k chips have a vessel. The odds of a chip alone hold
the prior 1/G of each of G vessels; k different vessels have the prior (G - k)! / G! instead of
G^-k, so

    c(k) = G / G x G / (G - 1) x ... x G / (G - k + 1).

Without c, "none" would grow with the number of chips. The marginals are the probabilities of each
chip.

Up to `EXACT_CHIPS` chips they are computed exactly, by a sum over subsets of chips (a permanent
with "none" as an alternative); beyond that by belief propagation, which converges for this model
and is close to exact: J. Williams and R. Lau, "Approximate evaluation of marginal association
probabilities with belief propagation", IEEE Trans. Aerospace and Electronic Systems 50 (2014).

Shapes: N chips, M vessels.
"""

import numpy as np
from numpy.typing import NDArray

EXACT_CHIPS = 8
MAX_ITERATIONS = 100
TOLERANCE = 1e-5
PRIOR_ITERATIONS = 2
MAX_LOG_ODDS = 30.0
"""Log odds beyond this are certain in any case; the cut keeps sums within float64."""

Floats = NDArray[np.float64]


def joint_probabilities(log_odds: Floats, gallery_vessels: int) -> Floats:
    """Return the joint marginals of all chips.

    Args:
        log_odds: float64 `[N, M]`, ln(P(chip i shows vessel v) / P(it shows none)) of each chip
            alone; -inf where a vessel is no candidate.
        gallery_vessels: G, the number of vessels that were searched, at least M.

    Returns:
        float64 `[N, 1 + M]`, rows that sum to one: "none of them" first.
    """
    odds = np.exp(np.minimum(log_odds, MAX_LOG_ODDS))
    vessels = max(gallery_vessels, odds.shape[1])
    if len(odds) <= EXACT_CHIPS:
        return exact_marginals(odds, vessels)
    return propagated_marginals(odds, vessels)


def exact_marginals(odds: Floats, gallery_vessels: int) -> Floats:
    """Return the joint marginals float64 `[N, 1 + M]` of odds `[N, M]`, exactly.

    `before[k][S]` is the sum of all assignments of the first k vessels that give the chips of the
    set S a vessel, `after[k][S]` of all assignments of the other vessels to chips outside S.
    """
    chips, vessels = odds.shape
    # Scaling a chip's outcomes, none among them, by one number changes no probability.
    scale = np.maximum(1.0, odds.max(axis=1, initial=0.0))
    share = odds / scale[:, None]
    sets = np.arange(1 << chips)
    outside = [sets[(sets >> i) & 1 == 0] for i in range(chips)]
    shown = (sets[:, None] >> np.arange(chips)) & 1  # [sets, chips]
    none = np.prod(np.where(shown == 1, 1.0, 1.0 / scale), axis=1)
    counts = shown.sum(axis=1)
    steps = gallery_vessels / np.maximum(gallery_vessels - np.arange(chips), 1.0)
    none *= np.concatenate([[1.0], np.cumprod(steps)])[counts]  # c(k)
    before = np.zeros((vessels + 1, sets.size))
    before[0, 0] = 1.0
    for k in range(vessels):
        before[k + 1] = before[k]
        for i in range(chips):
            if share[i, k] > 0:
                before[k + 1, outside[i] | 1 << i] += share[i, k] * before[k, outside[i]]
    after = none.copy()  # of no more vessels: the chips outside S show none
    marginals = np.zeros((chips, 1 + vessels))
    total = float(before[vessels] @ none)
    for k in range(vessels - 1, -1, -1):
        earlier = after.copy()
        for i in range(chips):
            if share[i, k] > 0:
                there = after[outside[i] | 1 << i]
                marginals[i, 1 + k] = share[i, k] * float(before[k, outside[i]] @ there) / total
                earlier[outside[i]] += share[i, k] * there
        after = earlier
    marginals[:, 0] = np.clip(1.0 - marginals[:, 1:].sum(axis=1), 0.0, 1.0)
    return marginals


def propagated_marginals(odds: Floats, gallery_vessels: int) -> Floats:
    """Return the joint marginals float64 `[N, 1 + M]` of odds `[N, M]`, by belief propagation.

    c(k) is replaced by a factor for each chip, G / (G - k'), with the expected number k' of other
    chips that have a vessel.
    """
    factor = np.ones((len(odds), 1))
    for _ in range(PRIOR_ITERATIONS):
        marginals = _propagate(odds * factor)
        having = 1.0 - marginals[:, :1]
        others = np.minimum(having.sum() - having, gallery_vessels - 1.0)
        factor = gallery_vessels / (gallery_vessels - others)
    return _propagate(odds * factor)


def _propagate(odds: Floats) -> Floats:
    free = np.ones_like(odds)  # message of vessel v to chip i: that no other chip shows it
    for _ in range(MAX_ITERATIONS):
        wanted = odds * free
        # The differences are not below 1, but for rounding.
        claim = odds / np.maximum(1.0 + wanted.sum(axis=1, keepdims=True) - wanted, 1.0)
        updated = 1.0 / np.maximum(1.0 + claim.sum(axis=0, keepdims=True) - claim, 1.0)
        change = float(np.abs(updated - free).max(initial=0.0))
        free = updated
        if change < TOLERANCE:
            break
    wanted = odds * free
    total = 1.0 + wanted.sum(axis=1, keepdims=True)
    return np.concatenate([1.0 / total, wanted / total], axis=1)
