"""Fusion is chosen only if it gains beyond its interval."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.fusion.selection import (
    PUBLISHED_ALPHA,
    FusionChoice,
    ValidationFeatures,
    choose_fusion,
)
from model_training.ranking import cosine_distances, score_queries
from service.contract.fusion import fuse, l2_normalise
from service.contract.manifest import FusionSpec

VESSELS, WIDTH = 60, 16


def features(pseudo_noise: float | None, seed: int = 0) -> ValidationFeatures:
    """Draw vessels with one view per sensor; pseudo-SAR is near the true SAR, or unrelated."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape).astype(np.float32)

    vessel = noise(VESSELS, WIDTH)
    sar = vessel + 0.6 * noise(VESSELS, WIDTH)
    pseudo = noise(VESSELS, 5, WIDTH)
    if pseudo_noise is not None:
        pseudo = sar[:, None] + pseudo_noise * pseudo
    ids = np.arange(VESSELS)
    return ValidationFeatures(vessel + 1.2 * noise(VESSELS, WIDTH), pseudo, ids, sar, ids)


def test_pseudo_sar_close_to_the_truth_is_chosen() -> None:
    choice = choose_fusion(features(pseudo_noise=1.0), draws=300)
    assert choice.helps
    assert choice.chosen is choice.reported
    assert choice.reported.gain.low is not None
    assert choice.reported.gain.low > 0
    assert choice.spec == FusionSpec(samples=choice.reported.samples, alpha=choice.reported.alpha)
    assert choice.reported.samples == 5
    assert choice.reported.alpha > PUBLISHED_ALPHA
    assert choice.sentence.endswith("it is used.")


@pytest.mark.parametrize("seed", range(4))
def test_unrelated_pseudo_sar_is_reported_as_not_helping(seed: int) -> None:
    choice = choose_fusion(features(pseudo_noise=None, seed=seed), draws=300)
    assert not choice.helps
    assert choice.spec == FusionSpec(samples=0, alpha=0.0)
    assert (choice.reported.alpha, choice.reported.samples) == (PUBLISHED_ALPHA, 5)
    assert "does not help beyond the interval" in choice.sentence


def test_trials_cover_every_alpha_and_k_with_the_published_alpha_among_them() -> None:
    choice = choose_fusion(features(1.0), alphas=[0.3], samples=[5, 1, 2], draws=50)
    assert [(trial.samples, trial.alpha) for trial in choice.trials] == [
        (k, alpha) for k in (1, 2, 5) for alpha in (PUBLISHED_ALPHA, 0.3)
    ]


def test_a_trial_equals_the_metric_on_embeddings_fused_by_the_contract() -> None:
    given = features(1.0)
    choice = choose_fusion(given, alphas=[0.3], samples=[2], draws=50)
    trial = choice.trials[-1]
    fused = np.stack(
        [fuse(f, p, 0.3) for f, p in zip(given.optical, given.pseudo_sar[:, :2], strict=True)]
    )
    sar = l2_normalise(given.sar)
    o2s = score_queries(cosine_distances(fused, sar), given.optical_ids, given.sar_ids)
    s2o = score_queries(cosine_distances(sar, fused), given.sar_ids, given.optical_ids)
    assert trial.o2s.value == pytest.approx(100 * o2s.average_precision.mean())
    assert trial.s2o.value == pytest.approx(100 * s2o.average_precision.mean())
    before = (choice.without[0].value + choice.without[1].value) / 2
    after = (trial.o2s.value + trial.s2o.value) / 2
    assert trial.gain.value == pytest.approx(after - before)


def test_the_interval_of_the_gain_is_paired() -> None:
    """Fusing a feature with itself changes nothing in any draw of ships."""
    given = features(1.0)
    choice = choose_fusion(replace(given, pseudo_sar=given.optical[:, None]), samples=[1], draws=50)
    for trial in choice.trials:
        assert (trial.gain.value, trial.gain.low, trial.gain.high) == (0.0, 0.0, 0.0)
        assert trial.o2s.low is not None
        assert trial.o2s.high is not None
        assert trial.o2s.low < trial.o2s.high
    assert not choice.helps


def test_more_trials_widen_the_interval() -> None:
    given = features(2.0)
    few = choose_fusion(given, alphas=[0.2], samples=[1], draws=2000)
    many = choose_fusion(given, alphas=[0.2, 0.3, 0.4, 0.5, 0.6], samples=[1, 2, 3], draws=2000)

    def width(choice: FusionChoice) -> float:
        (trial,) = (t for t in choice.trials if (t.alpha, t.samples) == (0.2, 1))
        low, high = trial.gain.ends
        return high - low

    assert width(many) > width(few)


@pytest.mark.parametrize(
    ("alphas", "samples", "message"),
    [
        ([0.1], [6], "K must lie"),
        ([0.1], [], "K must lie"),
        ([0.0], [1], "alpha"),
        ([1.1], [1], "alpha"),
    ],
)
def test_alpha_and_k_out_of_range_are_refused(
    alphas: list[float], samples: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        choose_fusion(features(1.0), alphas=alphas, samples=samples)


def test_features_of_different_shapes_are_refused() -> None:
    given = features(1.0)
    with pytest.raises(ValueError, match="expected"):
        replace(given, pseudo_sar=given.pseudo_sar[:-1])
    with pytest.raises(ValueError, match="expected"):
        replace(given, sar_ids=given.sar_ids[1:])
