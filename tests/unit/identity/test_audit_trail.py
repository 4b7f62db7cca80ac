"""Every answer and every change leaves its entries, and nothing is answered without them."""

from datetime import UTC, datetime

import pytest

from service.access.caller import Caller, called_by, current_caller
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, StoreFullError
from service.identity.review import NewJudgement
from service.identity.match import MatchOptions
from service.identity.records.match_records import Decision
from service.identity.records.vessels import VesselState
from tests.support.fakes.audit import FakeAuditLog
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import build_use_cases, optical, sar


class Desk:
    """The recorded use cases around fakes."""

    def __init__(self) -> None:
        self.book = FakeAuditLog()
        self.gallery = FakeGallery(FakeEmbedder.bundle_id, WIDTH)
        use_cases = build_use_cases(self.gallery, FakeChipStore(), audit=self.book, now=noon)
        self.recovery, self.matches = use_cases.recovery, use_cases.matches
        self.matcher, self.review = use_cases.matcher, use_cases.review
        self.enrolment, self.curation = use_cases.enrolment, use_cases.curation

    def told(self) -> list[tuple[str, str | None]]:
        return [(entry["action"], entry.get("phase")) for entry in self.book.entries]


def noon() -> datetime:
    return datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_match_tells_who_asked_what_and_what_was_answered(desk: Desk) -> None:
    known = desk.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    with called_by(lambda: Caller("harbour-desk", "r-1")):
        match = desk.matcher.match(sar(1), MatchOptions(top_k=3)).match
    entry = desk.book.entries[-1]
    assert entry["who"] == "harbour-desk"
    assert entry["request_id"] == "r-1"
    assert entry["at"] == noon().isoformat()
    assert entry["chip_sha256"] == sar(1).digest
    assert entry["bundle_id"] == FakeEmbedder.bundle_id
    assert entry["gallery"] == {"vessels": 1, "sightings": 1}
    assert entry["options"]["top_k"] == 3
    assert entry["match_id"] == str(match.id)
    assert [c["vessel_id"] for c in entry["candidates"]] == [str(known.vessel.id)]
    assert [c["sighting_id"] for c in entry["candidates"]] == [str(known.sightings[0].id)]


def test_a_match_that_cannot_be_recorded_is_not_answered(desk: Desk) -> None:
    desk.book.room = 0
    with pytest.raises(StoreFullError):
        desk.matcher.match(sar(1), MatchOptions())
    assert list(desk.matches.all()) == [], "what can be looked up is in the log"


def test_a_judgement_tells_who_decided_what_and_of_which_sighting(desk: Desk) -> None:
    known = desk.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel.id
    match = desk.matcher.match(sar(1), MatchOptions()).match
    with called_by(lambda: Caller("harbour-desk", "r-2")):
        said = NewJudgement(decision=Decision.CONFIRMED, vessel_id=known, note="same cranes")
        desk.review.judge(match.id, said)
    begun, done = desk.book.entries[-2:]
    assert (begun["action"], begun["phase"], done["phase"]) == ("verdict", "begun", "done")
    assert begun["who"] == begun["by"] == "harbour-desk"
    assert begun["match_id"] == str(match.id)
    assert begun["sighting_id"] == str(match.query.id)
    assert (begun["decision"], begun["vessel_id"]) == ("confirmed", str(known))
    assert begun["note"] == "same cranes"
    assert done["change_id"] == begun["change_id"]


def test_a_judgement_that_cannot_be_recorded_is_not_begun(desk: Desk) -> None:
    match = desk.matcher.match(sar(1), MatchOptions()).match
    desk.book.room = 0
    with pytest.raises(StoreFullError):
        desk.review.judge(match.id, NewJudgement(decision=Decision.REJECTED))
    assert desk.review.show(match.id).record.judgements == ()


def test_a_change_that_cannot_be_recorded_is_not_begun(desk: Desk) -> None:
    desk.book.room = 0
    with pytest.raises(StoreFullError):
        desk.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    assert desk.gallery.counts().vessels == 0


def test_every_change_is_told_before_and_after(desk: Desk) -> None:
    first = desk.enrolment.enrol(NewVessel(name="A"), [optical(1), optical(2)])
    other = desk.enrolment.enrol(NewVessel(name="B"), [optical(3)]).vessel.id
    vessel = first.vessel.id
    desk.enrolment.add_chips(vessel, [optical(4)])
    desk.curation.update(vessel, VesselPatch(name="A2"))
    desk.curation.remove_chip(vessel, first.sightings[0].id)
    desk.curation.merge(vessel, other)
    desk.curation.split(vessel, [first.sightings[1].id], VesselPatch(name="C"))
    desk.curation.delete(vessel)
    actions = ["enrol", "enrol", "add-chips", "update", "remove-chip", "merge", "split", "delete"]
    assert desk.told() == [(a, phase) for a in actions for phase in ("begun", "done")]
    begun, done = desk.book.entries[0:2]
    assert begun["change_id"] == done["change_id"]
    assert begun["chips"] == [optical(1).digest, optical(2).digest]
    assert begun["vessel_id"] == str(vessel)
    assert {s["sighting_id"] for s in done["sightings"]} == {str(s.id) for s in first.sightings}
    assert desk.book.entries[6]["said"] == {"name": "A2"}


def test_a_refused_change_is_told_as_failed_or_not_begun(desk: Desk) -> None:
    desk.enrolment.enrol(NewVessel(name="A", imo="9074729"), [optical(1)])
    with pytest.raises(ConflictError):
        desk.enrolment.enrol(NewVessel(name="B", imo="9074729"), [optical(2)])
    assert desk.told() == [("enrol", "begun"), ("enrol", "done")]


def test_what_fails_on_the_way_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreFullError("the disk is full")

    monkeypatch.setattr(desk.gallery, "put_sightings", full)
    with pytest.raises(StoreFullError, match="the disk"):
        desk.enrolment.enrol(NewVessel(name="A"), [optical(1)])
    assert desk.told() == [("enrol", "begun"), ("enrol", "failed")]
    assert desk.book.entries[-1]["error"] == "store-full"


def test_work_that_nobody_asked_for_is_the_services_own() -> None:
    assert current_caller() == Caller("service")


def test_what_recovery_settles_is_told_with_what_it_found(desk: Desk) -> None:
    known = desk.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel
    desk.gallery.put_vessel(known.model_copy(update={"state": VesselState.DELETING}))
    desk.book.entries.clear()
    assert desk.recovery.run() == 1
    assert desk.told() == [("recover", "begun"), ("recover", "done")]
    begun = desk.book.entries[0]
    assert (begun["vessel_id"], begun["found"]) == (str(known.id), "deleting")
    assert begun["who"] == "service"


def test_recovery_waits_while_it_cannot_be_told(desk: Desk) -> None:
    known = desk.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel
    desk.gallery.put_vessel(known.model_copy(update={"state": VesselState.DELETING}))
    desk.book.room = 0
    with pytest.raises(StoreFullError):
        desk.recovery.run()
    assert known.id in desk.gallery.get_vessels([known.id])
    desk.book.room = 10
    assert desk.recovery.run() == 1
    assert known.id not in desk.gallery.get_vessels([known.id])
