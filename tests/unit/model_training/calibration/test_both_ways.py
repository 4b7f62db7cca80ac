"""Calibration of queries that are compared both ways round."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.calibration.both_ways import (
    PREFERENCES,
    SUFFIX,
    Ways,
    both_ways_metrics,
    choose_preference,
    compare_ways,
    fit_both_ways,
    fit_certainty_slope,
    measure_both_ways,
)
from model_training.calibration.calibrate import CalibrationError, fit, require_trials
from model_training.calibration.searches import score_vessels
from model_training.embedding.chip_table import ChipTable
from service.contract.chip import Modality
from service.contract.weighing.specs import CalibrationSpec
from tests.support.training.training_data import embedded_ships


def with_half_turns(table: ChipTable, seed: int = 0, every: int = 1) -> ChipTable:
    """Give every `every`-th chip a half turn that resembles no ship."""
    rng = np.random.default_rng(seed)
    turned = rng.normal(size=table.embeddings.plain.shape).astype(np.float32)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    turned[np.arange(len(turned)) % every != 0] = np.nan
    return replace(table, half_turned=turned)


def lying_the_other_way(table: ChipTable, rows: NDArray[np.int64]) -> ChipTable:
    """Exchange the two ways of some chips, so that their bows are at the other end."""
    assert table.half_turned is not None
    plain, turned = table.embeddings.plain.copy(), table.half_turned.copy()
    plain[rows], turned[rows] = turned[rows], plain[rows]
    embeddings = replace(table.embeddings, plain=plain)
    return replace(table, embeddings=embeddings, half_turned=turned)


def test_a_query_that_lies_the_other_way_finds_its_ship_only_both_ways() -> None:
    table = with_half_turns(embedded_ships(40, noise=0.3, views=1))
    sar = table.rows_with(Modality.SAR)
    table = lying_the_other_way(table, sar)
    hits = {}
    for preference in (np.inf, 0.0):
        scores = score_vessels(table, Modality.SAR, Modality.OPTICAL, preference=preference)
        hits[preference] = float((scores.similarity.argmax(axis=1) == scores.own).mean())
    assert hits[np.inf] < 0.2
    assert hits[0.0] > 0.9


def test_chips_without_half_turn_are_no_queries_both_ways() -> None:
    table = with_half_turns(embedded_ships(30, views=2), every=3)
    one_way = score_vessels(table, Modality.SAR, Modality.OPTICAL)
    both = score_vessels(table, Modality.SAR, Modality.OPTICAL, preference=0.0)
    assert one_way.query_ids.size == 60
    assert (
        both.query_ids.size
        == np.isin(table.rows_with_half_turn, table.rows_with(Modality.SAR)).sum()
    )
    with pytest.raises(CalibrationError, match="at least 20 ships"):
        require_trials(embedded_ships(40), preference=0.0)


def test_both_ways_has_its_own_calibration_and_is_well_calibrated_on_other_ships() -> None:
    table = with_half_turns(embedded_ships(80, noise=0.9, seed=1))
    spec = fit_both_ways(table, {}, "drawn ships", 0.2)
    one_way = fit(require_trials(table), None, "drawn ships")
    assert spec.bow_preference == 0.2
    assert spec.calibration.match != one_way.match
    other = with_half_turns(embedded_ships(80, noise=0.9, seed=2), seed=1)
    report = measure_both_ways(spec, other, {}, "other ships")
    assert report.searches.first_candidate.ece.value < 0.06
    assert report.right_way.value > 0.8
    assert {p.measured_on for p in report.spec.calibration.verdicts} == {"other ships"}
    metrics = both_ways_metrics(report, "drawn")
    assert all(m.protocol.endswith(SUFFIX) for m in metrics[:-1])
    assert metrics[-1].value == pytest.approx(100 * report.right_way.value)
    served = one_way.model_copy(update={"both_ways": spec})
    assert served.for_query(both_ways=True) == spec.calibration
    assert served.for_query(both_ways=False) == served
    assert one_way.for_query(both_ways=True) == one_way
    assert CalibrationSpec.model_validate_json(served.model_dump_json()) == served


def test_the_preference_is_small_if_half_turns_help_and_large_if_they_mislead() -> None:
    table = with_half_turns(embedded_ships(80, noise=0.9, seed=1))
    sar = table.rows_with(Modality.SAR)
    helped = lying_the_other_way(table, sar[: len(sar) // 2])
    assert choose_preference(helped) == PREFERENCES[0]
    assert choose_preference(table) > PREFERENCES[0]  # chips that all have the bow at one end


def test_the_preference_of_chips_that_resemble_their_half_turns_is_the_smallest() -> None:
    table = embedded_ships(80, noise=0.9, seed=1)
    alike = replace(table, half_turned=table.embeddings.plain.copy())
    assert choose_preference(alike) == PREFERENCES[0]


def test_a_turned_query_ranks_as_with_the_opposite_preference() -> None:
    table = with_half_turns(embedded_ships(30, noise=0.6, views=1))
    sar = table.rows_with(Modality.SAR)
    turned = score_vessels(
        lying_the_other_way(table, sar), Modality.SAR, Modality.OPTICAL, preference=0.1
    )
    opposite = score_vessels(table, Modality.SAR, Modality.OPTICAL, preference=-0.1)
    assert np.array_equal(turned.query_ids, opposite.query_ids)
    assert turned.similarity + 0.1 == pytest.approx(opposite.similarity)


def test_the_truth_says_which_pairs_lie_the_same_way() -> None:
    table = with_half_turns(embedded_ships(20, noise=0.2, views=1))
    sar = table.rows_with(Modality.SAR)[:5]
    table = lying_the_other_way(table, sar)
    up: dict[Path, bool] = {chip.path.resolve(): True for chip in table.chips}
    assert not compare_ways(table, {}).same_way.tolist().count(False)
    up |= {table.chips[row].path.resolve(): False for row in sar}
    ways = compare_ways(table, up)
    assert ways.same_way.tolist().count(False) == 10  # each pair is compared from both sides
    assert ((ways.difference > 0) == ways.same_way).mean() > 0.8


def test_the_certainty_follows_how_often_the_better_way_is_right() -> None:
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 0.3, 4000)
    same = rng.random(4000) < 1 / (1 + np.exp(-12 * difference))
    slope = fit_certainty_slope(Ways(difference, same, np.arange(4000)))
    assert slope == pytest.approx(12, rel=0.1)
    chance = Ways(difference, rng.random(4000) < 0.5, np.arange(4000))
    assert fit_certainty_slope(chance) < 1
