"""Replayed searches: the service's probabilities, galleries, candidates, distractors."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.calibration.candidate_probabilities import candidate_probabilities
from model_training.calibration.searches import (
    EVIDENCE,
    LOOK_ALIKE_TOLERANCE,
    RERANKED_VESSELS,
    VesselScores,
    possible_sizes,
    run_searches,
    score_vessels,
)
from model_training.embedding.chip_table import ChipTable, Embeddings
from service.contract.chip import Modality
from service.contract.weighing.specs import ChoiceSpec
from service.identity.evidence.checks import Limits
from service.identity.evidence.decision import rank, score
from service.identity.records.sightings import Sighting, VesselHit
from tests.support.fakes.records import make_sighting, make_vessel
from tests.support.training.training_data import embedded_ships

WEIGHTS = ChoiceSpec(
    weights={"similarity_z": 4.0, "length_log_ratio": -9.0, "width_log_ratio": -2.0},
    none_bias=1.0,
    none_log_gallery=0.8,
    none_log_sum=0.3,
)


def sighting(number: int, modality: Modality, size_m: NDArray[np.float64]) -> Sighting:
    length_m, width_m = size_m.tolist()
    return make_sighting(
        id=UUID(int=number), modality=modality, gsd_m=1.0, length_m=length_m, width_m=width_m
    )


def service_probabilities(table: ChipTable, query_row: int) -> list[float]:
    """Return the service's probabilities when every optical chip of the table is enrolled."""
    vectors, sizes = table.embeddings.served.astype(np.float64), table.size_m
    hits: dict[int, list[tuple[float, Sighting]]] = {}
    for row, chip in enumerate(table.chips):
        if chip.modality is Modality.OPTICAL:
            similarity = float(vectors[row] @ vectors[query_row])
            hit = (similarity, sighting(row, chip.modality, sizes[row]))
            hits.setdefault(chip.vessel_id, []).append(hit)
    vessels = []
    for name, found in hits.items():
        similarity, best = max(found, key=lambda one: one[0])
        vessel = make_vessel(id=UUID(int=name))
        vessels.append(VesselHit(vessel, [best], similarity))
    vessels.sort(key=lambda v: -v.similarity)
    query = sighting(10_000, Modality.SAR, sizes[query_row])
    scored = score(query, vessels[:RERANKED_VESSELS], WEIGHTS, len(vessels))
    ranking = rank(query, scored, Limits())
    assert ranking.none_probability is not None
    return [ranking.none_probability, *(c.probability for c in ranking.candidates)]


@pytest.mark.parametrize("ships", [3, 60])
def test_probabilities_equal_those_of_the_service(ships: int) -> None:
    table = embedded_ships(ships, noise=1.0)
    scores = score_vessels(table, Modality.SAR, Modality.OPTICAL)
    size = ships - 1
    searches = run_searches(scores, [size], per_size=scores.query_ids.size, seed=3)
    ours = candidate_probabilities(searches, WEIGHTS)
    # the gallery of a search whose own vessel is not enrolled holds all other vessels
    for i in np.flatnonzero(~searches.enrolled).tolist():
        name = int(searches.query_ids[i])
        others = [r for r, c in enumerate(table.chips) if c.vessel_id != name]
        part = table_of(table, [*others, query_row_of(table, scores, i)])
        expected = service_probabilities(part, len(others))
        assert searches.present[i].sum() == min(size, RERANKED_VESSELS)
        candidates = np.sort(ours[i, 1:][searches.present[i]])[::-1]
        np.testing.assert_allclose([ours[i, 0], *candidates], expected, rtol=1e-9)


def query_row_of(table: ChipTable, scores: VesselScores, search: int) -> int:
    rows = np.random.default_rng(0).permutation(table.rows_with(Modality.SAR))
    return int(rows[search % scores.query_ids.size])


def table_of(table: ChipTable, rows: Sequence[int]) -> ChipTable:
    return ChipTable(
        tuple(table.chips[r] for r in rows),
        Embeddings(table.embeddings.plain[list(rows)]),
        table.size_m[list(rows)],
    )


def test_only_enrolled_searches_have_the_vessel_among_the_candidates_and_once() -> None:
    scores = score_vessels(embedded_ships(40), Modality.OPTICAL, Modality.SAR)
    searches = run_searches(scores, [5, 20], per_size=200, seed=0)
    assert (searches.correct.sum(axis=1) == searches.enrolled).all()
    assert 0.4 < searches.enrolled.mean() < 0.6
    assert set(searches.gallery_vessels) == {5, 20}
    assert (searches.present.sum(axis=1) == searches.gallery_vessels).all()
    small = searches.of_size(5)
    assert len(small.query_ids) == 200


def test_candidates_are_ordered_by_similarity() -> None:
    scores = score_vessels(embedded_ships(30), Modality.SAR, Modality.OPTICAL)
    searches = run_searches(scores, [10], per_size=60, seed=0)
    similarity = searches.evidence[..., EVIDENCE.index("similarity")][:, :10]
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_a_chip_is_never_compared_with_itself() -> None:
    scores = score_vessels(embedded_ships(10, noise=0.3), Modality.SAR, Modality.SAR)
    assert scores.similarity.max() < 0.9999
    assert (scores.own >= 0).all()
    alone = score_vessels(embedded_ships(10, views=1), Modality.SAR, Modality.SAR)
    assert (alone.own == -1).all()


def test_distractors_are_separate_vessels_and_never_queries() -> None:
    scores = score_vessels(embedded_ships(10, distractors=7), Modality.SAR, Modality.OPTICAL)
    assert scores.similarity.shape[1] == 17
    assert (scores.query_ids > 0).all()
    assert possible_sizes(scores, [5, 16, 17]) == [5, 16]
    with pytest.raises(ValueError, match="gallery sizes"):
        run_searches(scores, [17], per_size=5, seed=0)


def test_half_of_the_galleries_hold_ships_of_the_query_s_length() -> None:
    scores = score_vessels(embedded_ships(300), Modality.SAR, Modality.OPTICAL)
    searches = run_searches(scores, [10], per_size=600, seed=0)
    ratio = searches.evidence[..., EVIDENCE.index("length_log_ratio")]
    others = np.where(searches.present & ~searches.correct, ratio, np.nan)
    longest = np.nanmax(others, axis=1)  # [S]
    alike = (longest <= np.log1p(LOOK_ALIKE_TOLERANCE)).mean()
    assert 0.3 < alike < 0.6
    assert np.quantile(longest, 0.7) > 3 * LOOK_ALIKE_TOLERANCE
