"""Choose the weight of fusion and the number of pseudo-SAR pictures, or no fusion.

The criterion is retrieval on validation identities: mAP of O2S and S2O with the fused optical
features, minus the same without fusion. The bootstrap over identities is paired: the same ships are
drawn for both. Fusion is chosen only if the lower end of the interval of the difference, averaged
over both directions, lies above zero. Every alpha and K that is tried is one more chance to win by
luck, so the interval is widened to hold for all of them together (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.metrics import Estimate, identity_weights, summarise
from model_training.ranking import FloatMatrix, Ids, QueryScores, cosine_distances, score_queries
from service.contract.fusion import fuse, l2_normalise
from service.contract.manifest import FusionSpec

PUBLISHED_ALPHA = 0.02
ALPHAS = (PUBLISHED_ALPHA, 0.05, 0.1, 0.2, 0.35, 0.5)
CONFIDENCE = 0.95
MAX_SAMPLES = 64
"""The largest K that a bundle may have, see `FusionSpec`."""


@dataclass(frozen=True, slots=True)
class ValidationFeatures:
    """An encoder's features of validation chips; unit length is not required.

    Attributes:
        optical: float32 `[N, D]`.
        pseudo_sar: float32 `[N, K, D]`, each optical chip's K pseudo-SAR pictures, encoded as SAR.
        optical_ids: int64 `[N]`, vessels.
        sar: float32 `[M, D]`.
        sar_ids: int64 `[M]`.

    Raises:
        ValueError: the shapes do not agree.
    """

    optical: NDArray[np.float32]
    pseudo_sar: NDArray[np.float32]
    optical_ids: Ids
    sar: NDArray[np.float32]
    sar_ids: Ids

    def __post_init__(self) -> None:
        count, width = self.optical.shape
        shapes = (self.pseudo_sar.shape[0], self.pseudo_sar.shape[2], self.optical_ids.shape)
        if shapes != (count, width, (count,)) or self.pseudo_sar.shape[1] < 1:
            raise ValueError(
                f"expected [N, D], [N, K, D] and [N], got {self.optical.shape}, "
                f"{self.pseudo_sar.shape} and {self.optical_ids.shape}"
            )
        if self.sar.shape != (self.sar_ids.size, width):
            raise ValueError(f"expected [M, {width}] and [M], got {self.sar.shape}")


@dataclass(frozen=True, slots=True)
class FusionTrial:
    """One alpha and K; all numbers in per cent of mAP.

    Attributes:
        alpha: weight of the pseudo-SAR mean.
        o2s: mAP of optical queries, with its 95 % interval.
        s2o: mAP of SAR queries, with its 95 % interval.
        gain: mean over both directions of mAP with fusion minus mAP without, with the interval
            that holds for all trials together.
    """

    alpha: float
    samples: int
    o2s: Estimate
    s2o: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True)
class FusionChoice:
    """The results of a sweep and the choice that follows from them.

    Attributes:
        without: mAP without fusion, (O2S, S2O).
        chosen: the trial to ship, or None when no gain exceeds its interval.
        reported: the trial to report: the chosen one, or the published alpha with the largest K.
    """

    without: tuple[Estimate, Estimate]
    trials: tuple[FusionTrial, ...]
    chosen: FusionTrial | None
    reported: FusionTrial

    @property
    def helps(self) -> bool:
        """Whether fusion with some alpha and K gains mAP, its whole interval above zero."""
        return self.chosen is not None

    @property
    def spec(self) -> FusionSpec:
        """Return the manifest's entry: the chosen alpha and K, or no fusion."""
        if self.chosen is None:
            return FusionSpec(samples=0, alpha=0.0)
        return FusionSpec(samples=self.chosen.samples, alpha=self.chosen.alpha)

    @property
    def sentence(self) -> str:
        """Return the conclusion as a sentence for the model card."""
        trial = self.reported
        verdict = (
            "it is used" if self.helps else "it does not help beyond the interval and is not used"
        )
        return (
            f"Fusion with alpha {trial.alpha:g} and K = {trial.samples} changes mAP on validation "
            f"ids by {trial.gain} points (mean of O2S and S2O): {verdict}."
        )

    def document(self) -> dict[str, Any]:
        """Return the sweep, in per cent of mAP, and the choice for a JSON file."""
        o2s, s2o = self.without
        return {
            "without": {"o2s": o2s.document(), "s2o": s2o.document()},
            "trials": [asdict(trial) for trial in self.trials],
            "choice": self.spec.model_dump(),
            "sentence": self.sentence,
        }


def choose_fusion(
    features: ValidationFeatures,
    alphas: Sequence[float] = ALPHAS,
    samples: Sequence[int] = (1, 5),
    draws: int = 2000,
) -> FusionChoice:
    """Measure every alpha and K on validation identities and choose.

    Args:
        features: of identities that neither encoder nor translator was trained on.
        alphas: weights above 0, up to 1; `PUBLISHED_ALPHA` is always tried too.
        samples: values of K, each at most the number of pseudo-SAR pictures.

    Raises:
        ValueError: alpha or K are out of range, or no query has a match in the gallery.
    """
    alphas = sorted({PUBLISHED_ALPHA, *alphas})
    samples = sorted(set(samples))
    require_sweep(alphas, samples, features.pseudo_sar.shape[1])
    plain = _both_directions(features, l2_normalise(features.optical))
    level = 1 - (1 - CONFIDENCE) / (len(alphas) * len(samples))
    trials = []
    for count in samples:
        for alpha in alphas:
            fused = np.stack(
                [
                    fuse(optical, pseudo[:count], alpha)
                    for optical, pseudo in zip(features.optical, features.pseudo_sar, strict=True)
                ]
            )
            scores = _both_directions(features, fused)
            o2s, s2o = (summarise(side, draws).mean_ap for side in scores)
            gain = _paired_gain(plain, scores, level, draws)
            trials.append(FusionTrial(alpha, count, o2s, s2o, gain))
    winners = [trial for trial in trials if trial.gain.low is not None and trial.gain.low > 0]
    chosen = max(winners, key=lambda trial: trial.gain.value, default=None)
    published = [trial for trial in trials if trial.alpha == PUBLISHED_ALPHA]
    o2s, s2o = (summarise(side, draws).mean_ap for side in plain)
    return FusionChoice((o2s, s2o), tuple(trials), chosen, chosen or published[-1])


def require_sweep(
    alphas: Sequence[float], samples: Sequence[int], available: int = MAX_SAMPLES
) -> None:
    """Check the settings of a sweep before pictures are made for it.

    Raises:
        ValueError: a K lies outside 1 to `available`, an alpha outside 0 (excluded) to 1.
    """
    if not samples or not 1 <= min(samples) <= max(samples) <= available:
        raise ValueError(f"K must lie in 1..{available}, got {list(samples)}")
    if not all(0 < alpha <= 1 for alpha in alphas):
        raise ValueError(f"alpha must lie above 0 and not above 1, got {list(alphas)}")


def _both_directions(
    features: ValidationFeatures, optical: NDArray[np.float32]
) -> tuple[QueryScores, QueryScores]:
    """Return the scores of O2S and S2O with these unit optical features `[N, D]`."""
    distances = cosine_distances(optical, l2_normalise(features.sar))
    return (
        score_queries(distances, features.optical_ids, features.sar_ids),
        score_queries(distances.T, features.sar_ids, features.optical_ids),
    )


def _paired_gain(
    before: tuple[QueryScores, QueryScores],
    after: tuple[QueryScores, QueryScores],
    level: float,
    draws: int,
) -> Estimate:
    """Return the mean mAP gain over both directions and its interval.

    Each bootstrap draw of ships is used for both directions, before and after.
    """
    identities = np.concatenate([side.identities for side in before])
    gains: list[FloatMatrix] = [
        100 * (new.average_precision - old.average_precision)
        for old, new in zip(before, after, strict=True)
    ]
    value = float(np.mean([gain.mean() for gain in gains]))
    if np.unique(identities).size < 2:
        return Estimate(value, None, None)
    # [draws, N + M] -> [draws, N] and [draws, M]
    weights = np.split(identity_weights(identities, draws, seed=0), [len(gains[0])], axis=1)
    resampled = np.mean(
        [(w @ gain) / w.sum(axis=1) for w, gain in zip(weights, gains, strict=True)], axis=0
    )
    tail = 50 * (1 - level)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))
