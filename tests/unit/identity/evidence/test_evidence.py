"""Registered sizes, types and voyages in a ranking, and each term in words."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from service.contract.weighing.context import CHIP_OVER_SHIP
from service.contract.weighing.specs import (
    CalibrationSpec,
    ChoiceSpec,
    ContextSpec,
    EvidenceName,
    RatioTable,
    VoyageTable,
)
from service.identity.evidence.checks import Limits, hardest_voyage, same_type
from service.identity.evidence.decision import explained, rank, score
from service.identity.records.base import GeoPoint
from service.identity.records.matches import Candidate
from service.identity.records.sightings import Sighting, VesselHit
from service.identity.records.vessels import Vessel
from tests.support.fakes.records import make_sighting, make_vessel
from tests.support.use_cases import CALIBRATION

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIZE = RatioTable(at=(0.0, 0.1, 0.3), log_ratio=(0.5, 0.0, -2.0))
CONTEXT = ContextSpec(
    register_length=SIZE,
    register_width=SIZE,
    type_agrees=0.7,
    type_differs=-0.9,
    voyage=(VoyageTable(max_hours=100.0, table=RatioTable(at=(1.0, 2.0), log_ratio=(0.3, -1.5))),),
    fitted_on="invented",
)
CENTRES: dict[EvidenceName, float] = {"similarity_z": -4.5, "length_log_ratio": 0.5}
WEIGHTS = ChoiceSpec(
    weights={"similarity_z": 5.0, "length_log_ratio": -4.0},
    none_bias=4.0,
    none_log_gallery=1.0,
    centres=CENTRES,
)
VESSELS = 20


def calibration(weights: ChoiceSpec) -> CalibrationSpec:
    """Return a calibration that weighs chips of either sensor alike."""
    changed = {"match": weights, "match_same_sensor": weights}
    return CALIBRATION.model_copy(update=changed)


def query() -> Sighting:
    place = GeoPoint(lat=0, lon=0)
    return make_sighting(length_m=180.0, width_m=30.0, captured_at=NOON, position=place)


def seen(
    vessel: Vessel, hours: float = -10.0, lat: float = 0.0, similarity: float = 0.8
) -> VesselHit:
    sighting = make_sighting(
        vessel,
        length_m=180.0,
        width_m=30.0,
        captured_at=NOON + timedelta(hours=hours),
        position=GeoPoint(lat=lat, lon=0),
    )
    return VesselHit(vessel, [sighting], similarity)


def ranked(
    *hits: VesselHit, context: ContextSpec | None = CONTEXT, limits: Limits | None = None
) -> list[Candidate]:
    asked = query()
    scored = score(asked, hits, WEIGHTS, VESSELS)
    limits = limits or Limits()
    found = rank(asked, scored, limits, context).candidates
    return list(explained(found, asked, limits, calibration(WEIGHTS)))


def test_registered_sizes_count_and_name_their_values() -> None:
    over_length, over_beam = CHIP_OVER_SHIP[query().modality]
    right = make_vessel(length_m=180 / over_length, beam_m=30 / over_beam)
    wrong = make_vessel(length_m=250, beam_m=30)
    first, second = ranked(seen(wrong), seen(right))
    assert first.vessel.id == right.id
    assert first.evidence["register_length"] == pytest.approx(0.5)
    assert second.evidence["register_length"] == pytest.approx(-2.0)
    words = {term.name: term.words for term in second.terms}
    assert words["register_length"] == (
        "registered length (about 154 m by the chip, registered 250 m) speaks against it ÷7.4"
    )
    assert second.checks.length is not None
    assert second.checks.length.tolerance == 0.2
    assert not second.checks.length.ok
    exact = first.checks
    assert exact.length is not None
    assert exact.width is not None
    assert exact.length.query_m == pytest.approx(exact.length.vessel_m)
    assert exact.width.query_m == pytest.approx(exact.width.vessel_m)
    assert second.checks.width is not None
    assert not second.checks.width.ok


def test_the_type_that_the_analyst_sees_counts_and_leaves_no_vessel_out() -> None:
    tanker, bulker = make_vessel(type="Product tanker"), make_vessel(type="bulk carrier")
    unknown = make_vessel()
    limits = Limits(looks_like="tanker")
    found = ranked(seen(bulker), seen(unknown), seen(tanker), limits=limits)
    assert [c.vessel.id for c in found] == [tanker.id, unknown.id, bulker.id]
    assert [c.evidence.get("type") for c in found] == [0.7, None, -0.9]
    assert all("type" not in c.evidence for c in ranked(seen(bulker), seen(tanker)))
    assert same_type("tanker", "Product Tanker")
    assert not same_type("tanker", "bulk carrier")


def test_a_voyage_is_weighed_by_the_usual_speed_of_the_type() -> None:
    tug, container = make_vessel(type="tug"), make_vessel(type="container ship")
    # 180 nm in 10 hours, 18 kn: twice the usual speed of a tug
    found = ranked(seen(tug, lat=3.0), seen(container, lat=3.0))
    assert [c.vessel.id for c in found] == [container.id, tug.id]
    assert found[0].evidence["voyage"] == pytest.approx(0.24, abs=0.05)
    assert found[1].evidence["voyage"] == pytest.approx(-1.5, abs=0.05)
    trip = found[1].checks.kinematics
    assert trip is not None
    assert (trip.max_speed_kn, trip.usual_kn, trip.slack_nm) == (30.0, 9.0, 1.0)
    assert "180 nm in 10.0 h needs 18 kn, usual 9 kn" in found[1].terms[-1].words


@pytest.mark.parametrize("context", [CONTEXT, None])
def test_an_impossible_voyage_comes_last_with_its_reason(context: ContextSpec | None) -> None:
    far, other = make_vessel(name="FAR"), make_vessel()
    found = ranked(
        seen(far, lat=30.0, similarity=0.95), seen(other, similarity=0.2), context=context
    )
    assert [c.vessel.id for c in found] == [other.id, far.id]
    assert found[1].probability < 1e-6
    assert found[1].terms[-1].words == (
        "voyage impossible: 1801 nm in 10.0 h needs 180 kn, at most 30 kn"
    )


def test_one_impossible_voyage_of_several_sightings_is_enough() -> None:
    vessel = make_vessel()
    near, far = seen(vessel), seen(vessel, hours=-1.0, lat=20.0)
    known = [*near.sightings, *far.sightings]
    voyage = hardest_voyage(query(), vessel, known, Limits())
    assert voyage is not None
    assert not voyage.feasible


def test_factors_are_likelihood_ratios_that_multiply_to_the_odds() -> None:
    vessel = make_vessel(length_m=170, beam_m=33, type="tug")
    asked = query()
    ranking = rank(
        asked, score(asked, [seen(vessel, lat=2.0)], WEIGHTS, VESSELS), Limits(), CONTEXT
    )
    assert ranking.none_probability is not None
    [only] = explained(ranking.candidates, asked, Limits(), calibration(WEIGHTS))
    product = math.prod(term.factor for term in only.terms)
    assert product == pytest.approx(only.probability / ranking.none_probability)
    by_name = {term.name: term for term in only.terms}
    assert by_name["none"].factor == pytest.approx(1 / VESSELS)
    assert by_name["length_log_ratio"].factor == pytest.approx(math.exp(0.5))
    assert by_name["length_log_ratio"].words == "length speaks for it ×1.6"
    assert by_name["similarity_z"].words.startswith("pixels speak for it ×2.7")
