import io
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from service.contract.chip import Modality
from service.contract.errors import ChipError
from service.contract.weighing.context import CHIP_OVER_SHIP
from service.contract.weighing.specs import ChoiceSpec, CoarseSpec
from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError, StoreDamagedError
from service.identity.matching.match import Matcher, MatchOptions
from service.identity.records.match_records import Decision, NewJudgement
from service.identity.records.matches import Verdict
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.use_cases import (
    CALIBRATION,
    MODEL,
    UseCases,
    optical,
    optical_look,
    sar,
    sar_look,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (MatchOptions(vessel_type="submarine"), "no registered vessel is of the type 'submarine'"),
        (MatchOptions(length_tolerance=0.1), "length_tolerance=0.1 leave no vessel"),
        (
            MatchOptions(vessel_type="tanker", length_tolerance=0.1),
            "vessel_type=tanker and length_tolerance=0.1 leave no vessel",
        ),
        (MatchOptions(), None),
    ],
)
def test_options_that_leave_no_vessel_are_named(
    use_cases: UseCases, options: MatchOptions, said: str | None
) -> None:
    use_cases.enrolment.enrol(NewVessel(name="LONG", type="Tanker", length_m=400), [optical(1)])
    match = use_cases.matcher.match(sar(5), options).match
    assert bool(match.candidates) is (said is None)
    assert any(said in text for text in match.query.warnings) if said else True


def test_an_empty_gallery_is_no_fault_of_the_options(use_cases: UseCases) -> None:
    warnings = use_cases.matcher.match(sar(5), MatchOptions()).match.query.warnings
    assert not any("vessel" in text for text in warnings)


def test_a_speed_limit_without_place_or_time_is_named(use_cases: UseCases) -> None:
    time, place = {"captured_at": NOON}, {"lat": 1.0, "lon": 2.0}
    for known, had_effect in ((time, False), (place, False), (time | place, True)):
        upload = ChipUpload(sar_tiff(5), ChipMetadata.model_validate(known))
        match = use_cases.matcher.match(upload, MatchOptions(max_speed_kn=20)).match
        said = any("max_speed_kn had no effect" in text for text in match.query.warnings)
        assert said is not had_effect


def test_a_type_that_no_vessel_has_is_named(use_cases: UseCases) -> None:
    def warned(looks_like: str) -> bool:
        options = MatchOptions(looks_like=looks_like)
        warnings = use_cases.matcher.match(sar(5), options).match.query.warnings
        return any("no vessel compared is of a type like" in w for w in warnings)

    use_cases.enrolment.enrol(NewVessel(name="UNTYPED"), [optical(1)])
    assert not warned("tnaker")
    use_cases.enrolment.enrol(NewVessel(name="TYPED", type="Product tanker"), [optical(2)])
    assert warned("tnaker")
    assert not warned("Tanker")


def test_a_match_checks_the_embeddings_that_it_shows(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[UUID] = []

    def damaged(ids: Collection[UUID]) -> None:
        checked.extend(ids)
        raise StoreDamagedError("not what was written")

    for seed in (1, 2, 3):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    shown = use_cases.matcher.match(sar(5), MatchOptions(top_k=2)).match.candidates
    monkeypatch.setattr(use_cases.gallery, "require_intact", damaged)
    with pytest.raises(StoreDamagedError):
        use_cases.matcher.match(sar(5), MatchOptions(top_k=2))
    assert checked == [one.sighting.id for one in shown]


def re_encoded(png: bytes) -> bytes:
    """Return the same picture in another file."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).save(buffer, "TIFF")
    return buffer.getvalue()


def test_an_empty_gallery_gives_no_match(use_cases: UseCases) -> None:
    answer = use_cases.matcher.match(sar(1), MatchOptions())
    assert answer.match.verdict is Verdict.NO_MATCH
    assert answer.match.candidates == ()
    assert answer.match.none_probability is None
    assert answer.match.explanation.compared == 0
    assert "the gallery holds no other chip" in answer.match.explanation.text


def test_the_vessel_of_the_most_similar_sighting_comes_first(use_cases: UseCases) -> None:
    known = use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    for seed in range(2, 9):
        use_cases.enrolment.enrol(NewVessel(name=f"OTHER {seed}"), [optical(seed)])
    match = use_cases.matcher.match(optical_look(1), MatchOptions(top_k=3)).match
    first = match.candidates[0]
    assert first.vessel.id == known.vessel.id
    assert first.similarity == pytest.approx(1.0, abs=1e-5)
    assert first.evidence == pytest.approx(
        {"similarity": 12.0, "none": -4.0 - 0.5 * np.log(8)}, abs=1e-4
    )
    assert first.probability > 0.9
    assert [c.rank for c in match.candidates] == [1, 2, 3]
    probabilities = [c.probability for c in match.candidates]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_stored_query_is_a_sighting_without_a_vessel(use_cases: UseCases) -> None:
    match = use_cases.matcher.match(sar(1), MatchOptions()).match
    sighting = use_cases.gallery.get_sighting(match.query.id)
    assert sighting is not None
    assert sighting.vessel_id is None
    assert sighting.modality is Modality.SAR
    assert use_cases.gallery.counts().sightings == 0
    again = use_cases.matcher.match(sar(1), MatchOptions()).match
    assert again.query.id == match.query.id
    assert again.candidates == ()


def test_several_chips_of_one_ship_get_one_answer(use_cases: UseCases) -> None:
    for seed in range(1, 9):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [sar_look(seed)])
    one, other = (use_cases.matcher.match(sar(seed), MatchOptions()).match for seed in (1, 2))
    match = use_cases.matcher.match(sar(1), MatchOptions(), [sar(2)]).match
    assert match.queries == (match.query, *match.more_queries)
    assert match.sighting_ids == (one.query.id, other.query.id)
    assert {c.vessel.name for c in match.candidates[:2]} == {"SHIP 1", "SHIP 2"}
    # The mean of two embeddings with cosine c is as similar to each as sqrt((1 + c) / 2).
    cosine = next(c.similarity for c in one.candidates if c.vessel.name == "SHIP 2")
    expected = np.sqrt((1 + cosine) / 2)
    assert [c.similarity for c in match.candidates[:2]] == pytest.approx([expected] * 2, abs=1e-5)
    assert match.explanation.text.endswith(
        "All 2 chips were compared as one, by the mean of their embeddings."
    )
    record = use_cases.matches.get(match.id)
    assert record is not None
    assert record.match == match
    assert set(use_cases.chips.data) >= {one.chip_sha256 for one in match.queries}


def test_several_chips_are_checked_by_the_mean_of_their_sizes(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="STAR", length_m=50), [optical(1)])
    match = use_cases.matcher.match(sar(1), MatchOptions(), [sar(2, height=80)]).match
    short, long = (one.length_m for one in match.queries)
    checked = match.candidates[0].checks.length
    assert checked is not None
    over_length, _ = CHIP_OVER_SHIP[Modality.SAR]
    assert checked.query_m == pytest.approx((short * long) ** 0.5 / over_length)


def test_several_chips_across_sensors_have_weights_of_their_own(use_cases: UseCases) -> None:
    several = ChoiceSpec(weights={"similarity": 3.0}, none_bias=1.0, none_log_gallery=0.0)
    calibration = CALIBRATION.model_copy(update={"match_several": several})
    matcher = Matcher(
        use_cases.context, use_cases.upload_embedder, MODEL, calibration, allow_confident=True
    )
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    alone = matcher.match(sar(5), MatchOptions()).match.candidates[0]
    assert alone.evidence["similarity"] == pytest.approx(12.0 * alone.similarity)
    joined = matcher.match(sar(5), MatchOptions(), [sar(6)]).match.candidates[0]
    assert joined.evidence == pytest.approx({"similarity": 3.0 * joined.similarity, "none": -1.0})


def test_coarse_queries_are_weighed_by_weights_of_their_gsd(use_cases: UseCases) -> None:
    weights = ChoiceSpec(weights={"similarity": 3.0}, none_bias=1.0, none_log_gallery=0.0)
    coarse = CoarseSpec(gsd_m=4.0, match=weights)
    matcher = Matcher(
        *(use_cases.context, use_cases.upload_embedder, MODEL),
        CALIBRATION.model_copy(update={"coarse": (coarse,)}),
        allow_confident=True,
    )
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    slopes = {}
    for gsd_m in (1.0, 2.0, 4.0):
        upload = replace(sar(5), metadata=ChipMetadata(gsd_m=gsd_m))
        found = matcher.match(upload, MatchOptions()).match.candidates[0]
        slopes[gsd_m] = found.evidence["similarity"] / found.similarity
    assert slopes == pytest.approx({1.0: 12.0, 2.0: 7.5, 4.0: 3.0})


def test_no_chip_of_several_is_evidence_for_itself(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="COPY"), [sar(2), sar(9)])
    match = use_cases.matcher.match(sar(1), MatchOptions(), [sar(2)]).match
    assert match.candidates[0].sighting.chip_sha256 == sar(9).digest
    assert any("COPY" in text and "enrolled" in text for text in match.query.warnings)


def test_a_bad_chip_among_several_refuses_the_request(use_cases: UseCases) -> None:
    for more in ([sar(1)], [optical(2)], [ChipUpload(b"no picture")]):
        with pytest.raises((InvalidRequestError, ChipError)):
            use_cases.matcher.match(sar(1), MatchOptions(), more)
    assert list(use_cases.matches.all()) == []
    assert use_cases.chips.data == {}


def test_a_query_with_store_false_leaves_no_chip_or_sighting(use_cases: UseCases) -> None:
    match = use_cases.matcher.match(sar(1), MatchOptions(store=False)).match
    assert use_cases.gallery.get_sighting(match.query.id) is None
    assert use_cases.chips.data == {}


def test_a_different_size_lowers_the_probability(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1, height=80)])
    long = use_cases.matcher.match(sar(5, height=60), MatchOptions()).match.candidates[0]
    short = use_cases.matcher.match(sar(5, height=30), MatchOptions()).match.candidates[0]
    assert long.sighting.length_m == pytest.approx(60.0)
    assert long.evidence["length_log_ratio"] == pytest.approx(0.0, abs=1e-3)
    assert short.evidence["length_log_ratio"] == pytest.approx(-5 * np.log(2), abs=1e-3)
    assert long.probability - short.probability > 0


def test_the_length_check_and_filter_use_the_registered_length(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="LONG", length_m=190), [optical(1)])
    use_cases.enrolment.enrol(NewVessel(name="UNKNOWN LENGTH"), [optical(2)])
    everything = use_cases.matcher.match(sar(5, height=40), MatchOptions()).match
    checks = {c.vessel.name: c.checks.length for c in everything.candidates}
    assert checks["UNKNOWN LENGTH"] is None
    assert checks["LONG"] is not None
    assert not checks["LONG"].ok
    strict = use_cases.matcher.match(sar(5, height=40), MatchOptions(length_tolerance=0.2)).match
    assert [c.vessel.name for c in strict.candidates] == ["UNKNOWN LENGTH"]
    ship_m = strict.query.length_m / CHIP_OVER_SHIP[Modality.SAR][0]
    use_cases.enrolment.enrol(NewVessel(name="FITS", length_m=ship_m), [optical(3)])
    strict = use_cases.matcher.match(sar(5, height=40), MatchOptions(length_tolerance=0.05)).match
    assert {c.vessel.name for c in strict.candidates} == {"UNKNOWN LENGTH", "FITS"}


def test_the_vessel_type_filter_ignores_case(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="TANKER ONE", type="Tanker"), [optical(1)])
    use_cases.enrolment.enrol(NewVessel(name="BULKER", type="bulk carrier"), [optical(2)])
    match = use_cases.matcher.match(sar(5), MatchOptions(vessel_type="tanker")).match
    assert [c.vessel.name for c in match.candidates] == ["TANKER ONE"]


def upload_at(data: bytes, hours: float, lat: float) -> ChipUpload:
    return ChipUpload(
        data, ChipMetadata(captured_at=NOON + timedelta(hours=hours), lat=lat, lon=1.0)
    )


def test_a_vessel_that_cannot_have_sailed_there_comes_last(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="OTHER"), [upload_at(optical_png(7), 0, 9.9)])
    use_cases.enrolment.enrol(NewVessel(name="FAR"), [upload_at(optical_png(1), 0, 0.0)])
    query = upload_at(optical_png(1, height=41), 1, 10.0)
    flagged = use_cases.matcher.match(query, MatchOptions()).match
    assert [c.vessel.name for c in flagged.candidates] == ["OTHER", "FAR"]
    far = flagged.candidates[1]
    assert far.similarity > flagged.candidates[0].similarity
    assert far.checks.kinematics is not None
    assert not far.checks.kinematics.feasible
    assert far.probability < 1e-6
    assert far.evidence["voyage"] == -30.0
    assert "FAR looks most like it, but cannot have sailed there" in flagged.explanation.text
    faster = use_cases.matcher.match(query, MatchOptions(max_speed_kn=100)).match
    assert faster.candidates[1].vessel.name == "FAR"


def test_an_answer_says_that_its_only_look_alike_cannot_have_sailed_there(
    use_cases: UseCases,
) -> None:
    use_cases.enrolment.enrol(NewVessel(name="FAR"), [upload_at(optical_png(1), 0, 0.0)])
    query = upload_at(optical_png(1, height=41), 1, 10.0)
    match = use_cases.matcher.match(query, MatchOptions()).match
    assert match.verdict is Verdict.NO_MATCH
    assert "FAR looks most like it, but cannot have sailed there" in match.explanation.text


def test_two_equal_candidates_are_ambiguous(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="A"), [optical(1)])
    use_cases.enrolment.enrol(NewVessel(name="B"), [optical(1)])
    match = use_cases.matcher.match(optical_look(1), MatchOptions()).match
    assert match.candidates[0].probability == match.candidates[1].probability
    assert 0.45 < match.candidates[0].probability < 0.5
    assert match.verdict is Verdict.AMBIGUOUS


def test_probabilities_of_all_vessels_and_none_sum_to_one(use_cases: UseCases) -> None:
    for seed in range(1, 9):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    match = use_cases.matcher.match(sar(9), MatchOptions(top_k=100)).match
    assert match.none_probability is not None
    total = match.none_probability + sum(c.probability for c in match.candidates)
    assert total == pytest.approx(1.0)
    for candidate in match.candidates:
        odds = np.log(candidate.probability / match.none_probability)
        assert sum(candidate.evidence.values()) == pytest.approx(odds)
    fewer = use_cases.matcher.match(sar(9), MatchOptions(top_k=2)).match
    assert fewer.candidates == match.candidates[:2]
    assert fewer.none_probability == match.none_probability


def test_a_similar_vessel_lowers_the_probability_of_the_first(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    alone = use_cases.matcher.match(optical_look(1), MatchOptions()).match.candidates[0]
    use_cases.enrolment.enrol(NewVessel(name="TWIN"), [optical(1)])
    beside = use_cases.matcher.match(optical_look(1), MatchOptions()).match.candidates[0]
    assert beside.probability < 0.55 < alone.probability


def test_a_vessel_with_sightings_of_both_sensors_is_one_candidate(use_cases: UseCases) -> None:
    known = use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1), sar(2)])
    match = use_cases.matcher.match(sar_look(2), MatchOptions()).match
    (only,) = match.candidates
    assert only.vessel.id == known.vessel.id
    assert only.sighting.modality is Modality.SAR
    assert match.none_probability is not None
    assert only.probability + match.none_probability == pytest.approx(1.0)


def test_a_repeated_chip_is_embedded_once(use_cases: UseCases) -> None:
    first = use_cases.matcher.match(sar(1), MatchOptions())
    again = use_cases.matcher.match(sar(1), MatchOptions())
    assert use_cases.embedder.calls == 1
    assert "encode" in first.timings_ms
    assert "encode" not in again.timings_ms


def test_a_sensor_of_the_other_type_is_named_in_the_answer(use_cases: UseCases) -> None:
    upload = ChipUpload(sar_tiff(1), ChipMetadata(sensor="WorldView-3"))
    warnings = use_cases.matcher.match(upload, MatchOptions()).match.query.warnings
    assert any("'WorldView-3' takes optical pictures" in warning for warning in warnings)


def test_the_first_similarity_of_a_sensor_is_that_of_its_most_probable_vessel(
    use_cases: UseCases,
) -> None:
    for seed in (1, 2, 3):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    use_cases.enrolment.enrol(NewVessel(name="SEEN BY RADAR"), [sar(4)])
    answer = use_cases.matcher.match(sar_look(4), MatchOptions())
    assert answer.first_similarities.keys() == set(Modality)
    assert answer.first_similarities[Modality.SAR] == pytest.approx(1.0, abs=1e-5)
    across = [c for c in answer.match.candidates if c.sighting.modality is Modality.OPTICAL]
    assert answer.first_similarities[Modality.OPTICAL] == across[0].similarity


def test_a_filtered_search_has_no_first_similarities(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="SHIP", type="tanker"), [optical(1)])
    for options in (MatchOptions(vessel_type="tanker"), MatchOptions(length_tolerance=0.5)):
        assert use_cases.matcher.match(sar(2), options).first_similarities == {}
    assert use_cases.matcher.match(sar(2), MatchOptions()).first_similarities != {}


@pytest.mark.parametrize("enrolled", [optical_png(1), re_encoded(optical_png(1))])
def test_a_chip_and_its_copies_are_no_evidence_for_it(use_cases: UseCases, enrolled: bytes) -> None:
    known = use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [ChipUpload(enrolled), sar(7)])
    match = use_cases.matcher.match(optical(1), MatchOptions()).match
    [only] = match.candidates
    assert only.sighting.modality is Modality.SAR
    assert only.probability < 0.9
    assert match.verdict is not Verdict.CONFIDENT
    [warning] = match.query.warnings[-1:]
    assert f"enrolled for vessel {known.vessel.id} (KNOWN): it is no evidence" in warning
    stored = use_cases.gallery.get_sighting(match.query.id)
    assert stored is not None
    assert warning not in stored.warnings


def test_another_look_at_the_ship_of_a_copy_remains_evidence(use_cases: UseCases) -> None:
    chips = [optical(1), ChipUpload(re_encoded(optical_png(1))), optical_look(1)]
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), chips)
    [only] = use_cases.matcher.match(optical(1), MatchOptions()).match.candidates
    assert only.sighting.chip_sha256 == optical_look(1).digest


def test_a_wrongly_confirmed_chip_does_not_answer_for_its_vessel(use_cases: UseCases) -> None:
    wrong = use_cases.enrolment.enrol(NewVessel(name="WRONG"), [optical(1)]).vessel.id
    asked = use_cases.matcher.match(sar(5), MatchOptions()).match
    before = asked.candidates[0]
    judgement = NewJudgement(decision=Decision.CONFIRMED, vessel_id=wrong)
    use_cases.review.judge(asked.id, judgement)
    again = use_cases.matcher.match(sar(5), MatchOptions()).match
    assert again.candidates[0].probability == pytest.approx(before.probability)
    assert "no evidence for itself" in again.query.warnings[-1]
