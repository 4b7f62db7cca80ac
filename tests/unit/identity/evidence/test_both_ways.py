"""Queries whose bow may be at either end are compared both ways round."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from service.contract.chip import Modality
from service.contract.framing.records import FramingMode
from service.contract.weighing.specs import BothWaysSpec, CalibrationSpec
from service.identity.enrol import NewVessel
from service.identity.evidence.both_ways import BothWays
from service.identity.evidence.copies import Copies
from service.identity.matching.match import MatchOptions
from service.identity.records.sightings import (
    EmbeddedSighting,
    SearchResults,
    SightingFilter,
    VesselQuery,
)
from service.identity.uploads import ChipMetadata, ChipUpload, HalfTurns
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.records import BUNDLE, WIDTH, make_sighting, make_vessel
from tests.support.inputs.scene_files import loose_file
from tests.support.use_cases import CALIBRATION, UseCases, optical, sar

ANY = SightingFilter()


def loose() -> ChipUpload:
    return ChipUpload(loose_file(Modality.SAR), ChipMetadata(modality=Modality.SAR))


def test_a_framed_query_is_embedded_both_ways_and_a_tight_one_is_not(use_cases: UseCases) -> None:
    framed = use_cases.upload_embedder.embed(loose(), HalfTurns.OPEN)
    assert framed.half_turned is not None
    assert not np.allclose(framed.half_turned, framed.vector)
    again = use_cases.upload_embedder.embed(loose(), HalfTurns.OPEN)
    np.testing.assert_array_equal(again.half_turned, framed.half_turned)
    assert "wait" not in again.timings_ms  # both were cached
    assert use_cases.upload_embedder.embed(loose()).half_turned is None
    assert use_cases.upload_embedder.embed(sar(1), HalfTurns.OPEN).half_turned is None
    assert use_cases.upload_embedder.embed(sar(1), HalfTurns.FRAMED).half_turned is not None
    as_is = replace(sar(1), metadata=ChipMetadata(framing=FramingMode.AS_IS))
    assert use_cases.upload_embedder.embed(as_is, HalfTurns.FRAMED).half_turned is None


def with_both_ways(slope: float, preference: float | None = None) -> CalibrationSpec:
    both = BothWaysSpec(calibration=CALIBRATION, certainty_slope=slope, bow_preference=preference)
    return CALIBRATION.model_copy(update={"both_ways": both})


@pytest.mark.parametrize("slope", [None, 10.0])
def test_each_sighting_counts_by_its_better_way(use_cases: UseCases, slope: float | None) -> None:
    embedded = use_cases.upload_embedder.embed(loose())
    query = use_cases.upload_embedder.sighting(embedded, None)
    by_name = {}
    for seed, name in ((1, "STRAIGHT"), (2, "BACK")):
        by_name[name] = use_cases.enrolment.enrol(NewVessel(name=name), [optical(seed)])
    straight, back = (use_cases.upload_embedder.embed(optical(seed)).vector for seed in (1, 2))
    calibration = CALIBRATION if slope is None else with_both_ways(slope)
    ways = BothWays(EmbeddedSighting(query.sighting, straight), back, calibration)
    [hits] = ways.search_each(use_cases.gallery, Copies(), [ANY], 10)
    assert {hit.vessel.name for hit in hits} == set(by_name)
    for hit in hits:
        assert len(hit.sightings) == 1
        assert hit.similarity == pytest.approx(1.0, abs=1e-5)
        assert hit.way is not None
        assert hit.way.half_turned is (hit.vessel.name == "BACK")
        assert (hit.way.certainty is None) is (slope is None)
        assert hit.way.certainty is None or hit.way.certainty > 0.5


@pytest.mark.parametrize("is_loose", [False, True])
def test_the_half_turn_of_a_tight_query_must_be_more_similar_to_tight_chips_by_the_preference(
    use_cases: UseCases, is_loose: bool
) -> None:
    known = loose() if is_loose else optical(2)
    use_cases.enrolment.enrol(NewVessel(name="BACK"), [known])
    back = use_cases.upload_embedder.embed(known).vector
    embedded = use_cases.upload_embedder.embed(sar(1))
    query = use_cases.upload_embedder.sighting(embedded, None).sighting
    cosine = float(embedded.vector @ back)
    for preference, counts in ((0.3, True), (2.0, False)):
        calibration = with_both_ways(10.0, preference)
        ways = BothWays(EmbeddedSighting(query, embedded.vector), back, calibration)
        [hits] = found = ways.search_each(use_cases.gallery, Copies(), [ANY], 10)
        [only] = hits
        assert only.way is not None
        assert only.way.half_turned is (counts or is_loose)
        expected = 1.0 if is_loose else max(1.0 - preference, cosine)
        assert only.similarity == pytest.approx(expected, abs=1e-5)
        assert ways.bows_are_open(found) is is_loose


class AnsweringGallery(FakeGallery):
    """Answers every search with the same results."""

    def __init__(self, results: SearchResults) -> None:
        super().__init__(BUNDLE, WIDTH)
        self._results = results

    def search_each(self, queries: Sequence[VesselQuery], vessels: int) -> SearchResults:
        return self._results


def test_a_sighting_that_one_search_left_out_counts_as_its_last_one() -> None:
    a, b = make_vessel(name="A"), make_vessel(name="B")
    first, second, third = (make_sighting(a) for _ in range(3))
    only = make_sighting(b)
    straight = [(a, first, 0.9), (a, second, 0.8), (b, only, 0.5)]
    back = [(a, second, 0.95), (a, third, 0.7), (b, only, 0.4)]
    gallery = AnsweringGallery(SearchResults.of([straight, back]))
    vector = np.ones(WIDTH, np.float32)
    query = EmbeddedSighting(make_sighting(chip_sha256="f" * 64), vector)
    ways = BothWays(query, vector, with_both_ways(10.0))
    [[best, other]] = ways.search_each(gallery, Copies(), [ANY], 10)
    assert best.vessel == a
    assert list(best.sightings) == [second, first]  # the third at most as similar as the second
    assert best.way is not None
    assert (best.similarity, best.way.half_turned) == (0.95, True)
    assert other.vessel == b
    assert other.way is not None
    assert (other.similarity, other.way.half_turned) == (0.5, False)


def test_the_answer_says_which_way_matched(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    framed = use_cases.matcher.match(loose(), MatchOptions()).match
    assert framed.candidates[0].way is not None
    tight = use_cases.matcher.match(sar(1), MatchOptions()).match
    assert tight.candidates[0].way is None


def test_the_chip_itself_is_no_evidence_either_way_round(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="SELF"), [loose()])
    answer = use_cases.matcher.match(loose(), MatchOptions()).match
    assert answer.candidates == ()
    assert any("is enrolled for" in warning for warning in answer.query.warnings)


def test_verify_compares_both_ways(use_cases: UseCases) -> None:
    compared = use_cases.verifier.verify(optical(1), loose())
    assert compared.way is not None
    first = use_cases.upload_embedder.embed(optical(1)).vector
    second = use_cases.upload_embedder.embed(loose(), HalfTurns.OPEN)
    assert second.half_turned is not None
    cosines = [float(first @ vector) for vector in (second.vector, second.half_turned)]
    assert compared.similarity == pytest.approx(max(cosines))
    assert compared.way.half_turned is (cosines[1] > cosines[0])
    assert use_cases.verifier.verify(optical(1), sar(2)).way is None
