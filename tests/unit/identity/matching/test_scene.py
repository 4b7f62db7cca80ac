"""Chips of one image, asked about together."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError, StoreDamagedError
from service.identity.matching.match import MatchOptions
from service.identity.matching.scene import SceneMatcher, joint_rankings
from service.identity.records.matches import Verdict
from service.identity.uploads import ChipMetadata
from tests.support.use_cases import UseCases, optical, optical_look, sar


def test_no_vessel_is_in_one_image_twice(use_cases: UseCases) -> None:
    for seed in (1, 2):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    chips = [optical_look(1), optical(1, height=42), sar(9)]
    alone = [use_cases.matcher.match(chip, MatchOptions(store=False)).match for chip in chips]
    assert [one.candidates[0].vessel.name for one in alone[:2]] == ["SHIP 1", "SHIP 1"]
    found = SceneMatcher(use_cases.matcher).match(chips, MatchOptions())
    matches = [one.match for one in found]
    assert len({m.scene.scene_id for m in matches if m.scene}) == 1
    on_first = [c.probability for m in matches for c in m.candidates if c.vessel.name == "SHIP 1"]
    assert sum(on_first) <= 1.0 + 1e-9
    for match, before in zip(matches, alone, strict=True):
        assert match.none_probability is not None
        total = match.none_probability + sum(c.probability for c in match.candidates)
        assert total == pytest.approx(1.0)
        assert match.scene is not None
        assert match.scene.chips == 3
        assert match.scene.alone_verdict is before.verdict
        assert match.scene.alone_probability == pytest.approx(before.candidates[0].probability)
        assert use_cases.matches.get(match.id) is not None
    shared = matches[0]
    assert shared.candidates[0].probability < alone[0].candidates[0].probability
    assert shared.scene is not None
    assert "Alone, SHIP 1 would be first" in shared.scene.text


def test_a_scene_checks_all_that_it_shows_before_anything_is_stored(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[set[UUID]] = []

    def damaged(ids: Collection[UUID]) -> None:
        checked.append({*ids})
        raise StoreDamagedError("not what was written")

    for seed in (1, 2):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    scene = SceneMatcher(use_cases.matcher)
    chips = [optical_look(1), optical_look(2)]
    shown = scene.match(chips, MatchOptions(top_k=1, store=False))
    monkeypatch.setattr(use_cases.gallery, "require_intact", damaged)
    with pytest.raises(StoreDamagedError):
        scene.match(chips, MatchOptions(top_k=1))
    assert checked == [{one.match.candidates[0].sighting.id for one in shown}]
    assert len(checked[0]) == 2
    assert list(use_cases.matches.all()) == []


def test_the_answer_says_which_chip_took_the_vessel(use_cases: UseCases) -> None:
    for seed in (1, 2):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    asked = [
        use_cases.matcher.ask(chip, MatchOptions(store=False))
        for chip in (optical_look(1), optical(1, height=60))
    ]
    rankings = joint_rankings([one.ranking for one in asked], 2)
    assert rankings[0].candidates[0].vessel.name == "SHIP 1"
    assert len(rankings[1].candidates) == 2
    probabilities = [c.probability for c in rankings[1].candidates]
    assert probabilities == sorted(probabilities, reverse=True)


def test_one_chip_is_answered_as_alone(use_cases: UseCases) -> None:
    for seed in range(1, 6):
        use_cases.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [optical(seed)])
    alone = use_cases.matcher.match(sar(7), MatchOptions(store=False)).match
    [only] = SceneMatcher(use_cases.matcher).match([sar(7)], MatchOptions(store=False))
    np.testing.assert_allclose(
        [c.probability for c in only.match.candidates], [c.probability for c in alone.candidates]
    )
    assert only.match.verdict is alone.verdict
    assert only.match.scene is not None
    assert "change little" in only.match.scene.text


def test_an_empty_gallery_is_not_judged_in_a_scene_either(use_cases: UseCases) -> None:
    found = SceneMatcher(use_cases.matcher).match([sar(1), sar(2)], MatchOptions(store=False))
    for one in found:
        assert one.match.verdict is Verdict.NO_MATCH
        assert one.match.none_probability is None
        assert one.match.scene is not None
        assert "no vessel to compare with" in one.match.scene.text


def test_a_chip_that_is_sent_twice_is_refused(use_cases: UseCases) -> None:
    with pytest.raises(InvalidRequestError, match="twice"):
        SceneMatcher(use_cases.matcher).match([optical(1), optical(1)], MatchOptions())


DAY = "2026-01-01"
TOGETHER = {"gsd_m": 1.0, "captured_at": f"{DAY}T10:00:00Z", "lat": 1.0, "lon": 103.0}


@pytest.mark.parametrize(
    ("facts", "doubt"),
    [
        ({"captured_at": f"{DAY}T10:09:00Z", "lat": 5.0, "gsd_m": 1.2}, None),
        ({"captured_at": DAY}, None),
        ({"gsd_m": 3.0}, "pixels of 1 to 3 m"),
        ({"captured_at": f"{DAY}T12:30:00Z"}, "times 2.5 h apart"),
        ({"lat": 41.0}, "places 2402 nautical miles apart"),
    ],
)
def test_facts_that_contradict_one_image_cause_a_warning(
    use_cases: UseCases, facts: dict[str, object], doubt: str | None
) -> None:
    stated = [ChipMetadata.model_validate(one) for one in (TOGETHER, TOGETHER | facts)]
    chips = [replace(sar(seed), metadata=one) for seed, one in enumerate(stated)]
    for one in SceneMatcher(use_cases.matcher).match(chips, MatchOptions(store=False)):
        said = [text for text in one.match.query.warnings if "not of one image" in text]
        assert (doubt is None) if not said else (doubt is not None and doubt in said[0])


def test_chips_of_both_sensor_types_are_not_of_one_image(use_cases: UseCases) -> None:
    found = SceneMatcher(use_cases.matcher).match([sar(1), optical(2)], MatchOptions(store=False))
    assert all("optical and SAR" in one.match.query.warnings[-1] for one in found)
