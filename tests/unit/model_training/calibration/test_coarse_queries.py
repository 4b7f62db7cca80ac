"""Weights of coarse queries: fitted on coarsened chips, interpolated, better than those of fine."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model_training.calibration.calibrate import fit, require_trials
from model_training.calibration.coarse_queries import (
    GSDS_M,
    coarse_metrics,
    embed_coarse,
    fit_coarse,
    measure_coarse,
)
from model_training.calibration.searches import CoarseQueries, score_vessels
from model_training.data.hoss import read_folder
from model_training.embedding.chip_table import ChipTable, Embeddings, embed_chips
from service.contract.chip import Chip, Modality
from tests.support.training.training_data import embedded_ships, write_chips


def coarser(table: ChipTable, gsd_m: float, noise: float, seed: int = 5) -> CoarseQueries:
    """Return the table's chips as queries that resemble their ships less."""
    rng = np.random.default_rng(seed)
    plain = table.embeddings.plain
    vectors = plain + noise / np.sqrt(plain.shape[1]) * rng.normal(size=plain.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return CoarseQueries(gsd_m, vectors, vectors[::-1].copy(), table.size_m)


def test_fitted_weights_of_coarse_queries_are_better_calibrated_than_those_of_fine() -> None:
    table = embedded_ships(80, noise=0.7, seed=1)
    spec = fit(require_trials(table, per_size=300), None, "drawn ships")
    weights = fit_coarse(table, [coarser(table, 3.0, 1.0), coarser(table, 10.0, 3.0)], np.inf)
    assert [one.gsd_m for one in weights] == [3.0, 10.0]
    assert weights[1].match_same_sensor is not None
    spec = spec.model_copy(update={"coarse": weights})
    other = embedded_ships(80, noise=0.7, seed=2)
    measured = measure_coarse(spec, other, [coarser(other, 10.0, 3.0, seed=6)])
    assert list(measured) == [10.0]
    assert measured[10.0].none.value < 0.12
    assert measured[10.0].none_as_fine.value > 2 * measured[10.0].none.value
    assert {metric.protocol for metric in coarse_metrics(measured, "ships")} == {
        "calibration, queries at 10 m"
    }


def test_only_embedded_rows_are_queries_and_the_gallery_stays_fine() -> None:
    table = embedded_ships(30, views=1)
    asked = coarser(table, 5.0, 0.0)
    asked.vectors[table.rows_with(Modality.SAR)[3:]] = np.nan
    scores = score_vessels(table, Modality.SAR, Modality.OPTICAL, coarse=asked)
    fine = score_vessels(table, Modality.SAR, Modality.OPTICAL)
    assert scores.query_ids.size == 3
    for row, vessel in enumerate(scores.query_ids):
        same = np.flatnonzero(fine.query_ids == vessel)[0]
        np.testing.assert_allclose(scores.similarity[row], fine.similarity[same], atol=1e-6)


def test_chips_are_coarsened_and_embedded_both_ways_round(tmp_path: Path) -> None:
    seen: list[tuple[float, tuple[int, ...]]] = []

    def embed(chips: Sequence[Chip]) -> Embeddings:
        seen.extend((chip.gsd_m, chip.pixels.shape) for chip in chips)
        rows = np.zeros((len(chips), 2), np.float32)
        rows[:, 0] = 1.0
        return Embeddings(rows)

    write_chips(tmp_path, "0001_s01c1_RGB.tif", "0001_s01c2_SAR.tif")
    table = embed_chips(read_folder(tmp_path, distractors=False), embed)
    seen.clear()
    queries = embed_coarse(table, embed, per_sensor=5)
    assert [one.gsd_m for one in queries] == list(GSDS_M)
    assert {gsd_m for gsd_m, _ in seen} == set(GSDS_M)
    assert len(seen) == 2 * 2 * len(GSDS_M)  # chips, both ways round
    lengths = [one.size_m[0, 0] for one in queries]
    assert lengths == pytest.approx([table.size_m[0, 0]] * len(GSDS_M), rel=0.5)
    assert all(one.rows.size == 2 for one in queries)
