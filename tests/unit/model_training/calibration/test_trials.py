"""Similarities of first candidates, counted by sensors, gallery size and enrolment."""

import numpy as np
import pytest

from model_training.calibration.calibrate import require_trials
from model_training.calibration.searches import EVIDENCE, run_searches, score_vessels
from model_training.calibration.trials import count_first, first_similarities
from service.contract.chip import Modality
from service.contract.similarity import SIMILARITY_EDGES
from service.contract.weighing.specs import ChoiceSpec
from tests.support.training.training_data import embedded_ships

BY_SIMILARITY = ChoiceSpec(weights={"similarity": 5.0}, none_bias=0.0, none_log_gallery=0.0)
BY_LENGTH = ChoiceSpec(weights={"length_log_ratio": -5.0}, none_bias=0.0, none_log_gallery=0.0)


def test_sensors_sizes_and_enrolment_are_counted_separately() -> None:
    searches = require_trials(embedded_ships(30), per_size=40).searches
    counts = count_first(searches, BY_SIMILARITY)
    keys = [(c.query, c.gallery, c.gallery_vessels) for c in counts]
    pairs = [("optical", "sar"), ("sar", "optical")]
    assert keys == [(*pair, size) for pair in pairs for size in (2, 5, 10, 20)]
    for count in counts:
        assert sum(count.enrolled) + sum(count.not_enrolled) == 40
        assert min(sum(count.enrolled), sum(count.not_enrolled)) > 5


def test_an_enrolled_vessel_makes_the_first_candidate_more_similar() -> None:
    searches = require_trials(embedded_ships(40, noise=0.4), per_size=100).searches
    for count in count_first(searches, BY_SIMILARITY):
        classes = np.arange(len(SIMILARITY_EDGES) + 1)
        mean = [classes @ c / np.sum(c) for c in (count.enrolled, count.not_enrolled)]
        assert mean[0] > mean[1] + 1


@pytest.mark.parametrize("spec", [BY_SIMILARITY, BY_LENGTH])
def test_the_first_candidate_is_the_most_probable(spec: ChoiceSpec) -> None:
    scores = score_vessels(embedded_ships(20, noise=1.0), Modality.SAR, Modality.OPTICAL)
    searches = run_searches(scores, [10], per_size=40, seed=0)
    similarity = searches.evidence[:, :10, EVIDENCE.index("similarity")]
    length = searches.evidence[:, :10, EVIDENCE.index("length_log_ratio")]
    first = similarity.argmax(axis=1) if spec is BY_SIMILARITY else length.argmin(axis=1)
    np.testing.assert_array_equal(
        first_similarities(searches, spec), similarity[np.arange(40), first]
    )
