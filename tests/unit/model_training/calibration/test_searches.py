from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from model_training.calibration.candidate_probabilities import choice_probabilities
from model_training.calibration.searches import (
    EVIDENCE,
    RERANKED_VESSELS,
    fitting_sizes,
    run_searches,
    score_vessels,
)
from service.contract.chip import Modality
from service.contract.manifest import ChoiceSpec
from service.identity.decision import Limits, rank, score
from service.identity.records.sightings import Sighting, SightingHit, VesselHit
from service.identity.records.vessels import Vessel

NOW = datetime(2024, 1, 1, tzinfo=UTC)
WEIGHTS = ChoiceSpec(
    weights={"similarity_z": 4.0, "length_log_ratio": -9.0, "width_log_ratio": -2.0},
    none_bias=1.0,
    none_log_gallery=0.8,
)


def sighting(number: int, modality: Modality, size_m: np.ndarray) -> Sighting:
    return Sighting(
        id=UUID(int=number),
        vessel_id=None,
        modality=modality,
        gsd_m=1.0,
        gsd_source="default",
        length_m=float(size_m[0]),
        width_m=float(size_m[1]),
        bit_depth="uint8",
        chip_sha256="0" * 64,
        bundle_id="bundle",
        recorded_at=NOW,
    )


def service_probabilities(table, query_row):
    """What the service would answer when every optical chip of the table is enrolled."""
    vectors, sizes = table.embeddings.served.astype(np.float64), table.size_m
    hits = {}
    for row, chip in enumerate(table.chips):
        if chip.modality is Modality.OPTICAL:
            hit = SightingHit(
                sighting(row, chip.modality, sizes[row]), float(vectors[row] @ vectors[query_row])
            )
            hits.setdefault(chip.vessel_id, []).append(hit)
    vessels = [
        VesselHit(
            Vessel(id=UUID(int=name), created_at=NOW, updated_at=NOW),
            sorted(found, key=lambda h: -h.similarity),
        )
        for name, found in hits.items()
    ]
    vessels.sort(key=lambda v: -v.hits[0].similarity)
    query = sighting(10_000, Modality.SAR, sizes[query_row])
    scored = score(query, vessels[:RERANKED_VESSELS], WEIGHTS, len(vessels))
    ranking = rank(query, scored, Limits(), top_k=RERANKED_VESSELS)
    return [ranking.none_probability, *(c.probability for c in ranking.candidates)]


@pytest.mark.parametrize("ships", [3, 60])
def test_probabilities_are_the_services_own(make_table, ships):
    table = make_table(ships, noise=1.0)
    scores = score_vessels(table, Modality.SAR, Modality.OPTICAL)
    size = ships - 1
    searches = run_searches(scores, [size], per_size=scores.query_ids.size, seed=3)
    ours = choice_probabilities(searches, WEIGHTS)
    # a search whose own vessel is left out has all other vessels: compare with the service
    for i in np.flatnonzero(~searches.enrolled):
        name = int(searches.query_ids[i])
        keep = [r for r, c in enumerate(table.chips) if c.vessel_id != name]
        query_row = _row_asked(table, scores, i)
        without = _without(table, keep, query_row)
        expected = service_probabilities(without, len(keep))
        assert searches.present[i].sum() == min(size, RERANKED_VESSELS)
        candidates = np.sort(ours[i, 1:][searches.present[i]])[::-1]
        np.testing.assert_allclose([ours[i, 0], *candidates], expected, rtol=1e-9)


def _row_asked(table, scores, i):
    rows = np.random.default_rng(0).permutation(table.rows_with(Modality.SAR))
    return rows[i % scores.query_ids.size]


def _without(table, keep, query_row):
    from model_training.embedding.chip_table import ChipTable, Embeddings

    rows = [*keep, query_row]
    return ChipTable(
        tuple(table.chips[r] for r in rows),
        Embeddings(table.embeddings.plain[rows]),
        table.size_m[rows],
    )


def test_enrolled_searches_hold_the_vessel_once_and_others_never(make_table):
    scores = score_vessels(make_table(40), Modality.OPTICAL, Modality.SAR)
    searches = run_searches(scores, [5, 20], per_size=200, seed=0)
    assert (searches.correct.sum(axis=1) == searches.enrolled).all()
    assert 0.4 < searches.enrolled.mean() < 0.6
    assert set(searches.gallery_vessels) == {5, 20}
    assert (searches.present.sum(axis=1) == searches.gallery_vessels).all()
    small = searches.of_size(5)
    assert len(small.query_ids) == 200


def test_candidates_come_most_similar_first(make_table):
    scores = score_vessels(make_table(30), Modality.SAR, Modality.OPTICAL)
    searches = run_searches(scores, [10], per_size=60, seed=0)
    similarity = searches.evidence[..., EVIDENCE.index("similarity")][:, :10]
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_same_sensor_never_compares_a_chip_with_itself(make_table):
    scores = score_vessels(make_table(10, noise=0.3), Modality.SAR, Modality.SAR)
    assert scores.similarity.max() < 0.9999
    assert (scores.own >= 0).all()
    alone = score_vessels(make_table(10, views=1), Modality.SAR, Modality.SAR)
    assert (alone.own == -1).all()


def test_distractors_are_vessels_of_their_own_that_nobody_asks_about(make_table):
    scores = score_vessels(make_table(10, distractors=7), Modality.SAR, Modality.OPTICAL)
    assert scores.similarity.shape[1] == 17
    assert (scores.query_ids > 0).all()
    assert fitting_sizes(scores, [5, 16, 17]) == [5, 16]
    with pytest.raises(ValueError, match="gallery sizes"):
        run_searches(scores, [17], per_size=5, seed=0)
