"""The invented voyages of the demo's fleet favour no vessel."""

import itertools
from collections.abc import Mapping
from datetime import datetime

from service.client.demo.run import SHIPPED_FLEET, SHIPPED_NAME
from service.client.demo.voyages import NOTE, invent_voyages, invented_facts
from service.client.fleet.hoss_folder import read_hoss_folder
from service.contract.bundle import open_bundle
from service.contract.chip import Modality
from service.contract.weighing.context import Facts, Voyage, context_terms, usual_speed_kn
from service.identity.evidence.kinematics import check_kinematics
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import Fix
from service.settings import SHIPPED_BUNDLE

FLEET = read_hoss_folder(SHIPPED_FLEET, SHIPPED_NAME)


def fix_of(facts: Mapping[str, object]) -> Fix:
    at = datetime.fromisoformat(str(facts["captured_at"]))
    return Fix(GeoPoint.model_validate({"lat": facts["lat"], "lon": facts["lon"]}), at, at)


def test_every_chip_of_the_shipped_fleet_has_a_place_and_a_time() -> None:
    fleet = FLEET.fleet({Modality.OPTICAL})
    voyaged = invent_voyages(fleet)
    assert [one.id for one in voyaged.vessels] == [one.id for one in fleet.vessels]
    for vessel in voyaged.vessels:
        first, second = (chip.metadata for chip in vessel.chips)
        assert first["note"] == second["note"] == NOTE
        assert first["modality"] == "optical"
        assert str(first["captured_at"]) < str(second["captured_at"])
    assert invented_facts("7") == invented_facts("7") != invented_facts("8")


def test_the_voyage_to_a_query_says_the_same_of_every_vessel() -> None:
    context = open_bundle(SHIPPED_BUNDLE).manifest.calibration.context
    vessels = invent_voyages(FLEET.fleet({Modality.OPTICAL})).vessels
    queries = [fix_of(invented_facts(one.key)) for one in FLEET.chips if one.name.modality == "sar"]
    terms = set()
    for query, vessel in itertools.product(queries, vessels):
        usual = usual_speed_kn(str(vessel.attributes["type"]))
        for chip in vessel.chips:
            trip = check_kinematics(query, fix_of(chip.metadata))
            assert trip is not None
            assert trip.required_kn is not None
            voyage = Voyage(trip.required_kn, trip.hours, usual, trip.feasible)
            [found] = context_terms([Facts(voyage=voyage)], context)
            terms.add(found["voyage"])
    assert max(terms) - min(terms) < 1e-9
