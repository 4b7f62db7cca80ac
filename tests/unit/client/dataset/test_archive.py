"""What analysts decided is collected with who decided it, and what cannot be used is named."""

from service.client.dataset.archive import read_archive
from tests.support.answers import ship_id
from tests.support.fakes.judged_service import JudgedService, sighting_of


def test_a_confirmed_ship_comes_with_all_its_sightings() -> None:
    service = JudgedService()
    enrolled = sighting_of("A", 1, "optical", "1")
    asked = sighting_of("A", 2, "sar", "2")
    service.enrol("A", enrolled, asked, chip=b"")
    service.enrol("B", sighting_of("B", 1, "optical", "3"), chip=b"")
    match_id = service.judge("A", asked)
    (ship,) = read_archive(service.client()).ships
    assert ship.vessel.id == ship_id("A")
    assert {str(one.id) for one in ship.sightings} == {enrolled["id"], asked["id"]}
    ((sighting_id, confirmation),) = ship.confirmed.items()
    assert str(sighting_id) == asked["id"]
    assert (str(confirmation.match_id), confirmation.by) == (match_id, "ada")


def test_every_chip_of_a_match_counts_as_confirmed() -> None:
    service = JudgedService()
    first, second = sighting_of("A", 1, "sar", "1"), sighting_of("A", 2, "sar", "2")
    service.enrol("A", first, second, chip=b"")
    match_id = service.judge("A", first)
    query = service.records[match_id]["query"]
    service.records[match_id]["queries"] = [query, query | {"sighting_id": second["id"]}]
    (ship,) = read_archive(service.client()).ships
    assert {str(one) for one in ship.confirmed} == {first["id"], second["id"]}


def test_a_rejection_names_the_match_and_the_judgement() -> None:
    service = JudgedService()
    match_id = service.judge(None, sighting_of("A", 5, "sar", "5", vessel_id=None))
    archive = read_archive(service.client())
    (rejection,) = archive.rejections
    assert not archive.ships
    assert str(rejection.match.match_id) == match_id
    assert (rejection.judgement.by, rejection.judgement.note) == ("ada", "no cranes")


def test_a_ship_is_simulated_if_one_of_its_chips_is_said_to_be() -> None:
    service = JudgedService()
    for name, source in (("A", "fleet, simulated"), ("B", "port authority")):
        asked = sighting_of(name, 2, "sar", name)
        service.enrol(
            name, sighting_of(name, 1, "optical", name * 2, source=source), asked, chip=b""
        )
        service.judge(name, asked)
    ships = read_archive(service.client()).ships
    assert {ship.vessel.name: ship.is_simulated for ship in ships} == {
        "SHIP A": True,
        "SHIP B": False,
    }


def test_what_cannot_be_used_is_left_out_with_its_reason() -> None:
    service = JudgedService()
    orphan = sighting_of("A", 9, "sar", "9", vessel_id=None)
    service.judge("A", orphan)  # its vessel was taken away again
    same = sighting_of("B", 1, "sar", "4"), sighting_of("C", 1, "sar", "4")
    for ship, sighting in zip("BC", same, strict=True):
        service.enrol(ship, sighting, chip=b"")
        service.judge(ship, sighting)
    twice = sighting_of("D", 1, "sar", "6"), sighting_of("D", 2, "sar", "6")
    service.enrol("D", *twice, chip=b"")
    service.judge("D", twice[1])
    service.judge("E", sighting_of("E", 1, "sar", "7"))  # a vessel that is not there
    archive = read_archive(service.client())
    reasons = {(one.kind, str(one.id)): one.reason for one in archive.left_out}
    assert "its sighting was deleted" in reasons["match", next(iter(service.records))]
    assert reasons["sighting", same[0]["id"]] == "another vessel has the same chip"
    assert reasons["sighting", same[1]["id"]] == "another vessel has the same chip"
    assert reasons["sighting", twice[0]["id"]] == "the vessel has the chip twice"
    assert "there is no gallery" in reasons["vessel", str(ship_id("E"))]
    kept = {ship.vessel.name: [str(s.id) for s in ship.sightings] for ship in archive.ships}
    assert kept == {"SHIP B": [], "SHIP C": [], "SHIP D": [twice[1]["id"]]}
