"""Every match and every change writes audit entries; without them there is no response."""

from datetime import UTC, datetime

import pytest

from service.access.caller import Caller, called_by, current_caller
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, StoreFullError
from service.identity.matching.match import MatchOptions
from service.identity.records.match_records import Decision, NewJudgement
from service.identity.records.vessels import VesselState
from tests.support.fakes.audit import FakeAuditLog
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import build_use_cases, optical, sar


class AuditedUseCases:
    """The use cases, and the entries that they write."""

    def __init__(self) -> None:
        self.log = FakeAuditLog()
        self.gallery = FakeGallery(FakeEmbedder.bundle_id, WIDTH)
        use_cases = build_use_cases(self.gallery, FakeChipStore(), audit=self.log, now=noon)
        self.recovery, self.matches = use_cases.recovery, use_cases.matches
        self.matcher, self.review = use_cases.matcher, use_cases.review
        self.enrolment, self.curation = use_cases.enrolment, use_cases.curation

    def actions(self) -> list[tuple[str, str | None]]:
        return [(entry["action"], entry.get("phase")) for entry in self.log.entries]


def noon() -> datetime:
    return datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def audited() -> AuditedUseCases:
    return AuditedUseCases()


def test_a_match_entry_has_caller_options_and_candidates(audited: AuditedUseCases) -> None:
    known = audited.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    with called_by(lambda: Caller("harbour-desk", "r-1")):
        match = audited.matcher.match(sar(1), MatchOptions(top_k=3)).match
    entry = audited.log.entries[-1]
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


def test_a_match_without_an_audit_entry_fails(audited: AuditedUseCases) -> None:
    audited.log.room = 0
    with pytest.raises(StoreFullError):
        audited.matcher.match(sar(1), MatchOptions())
    assert list(audited.matches.all()) == [], "every match record has an audit entry"


def test_a_judgement_entry_has_caller_decision_and_sighting(audited: AuditedUseCases) -> None:
    known = audited.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel.id
    match = audited.matcher.match(sar(1), MatchOptions()).match
    with called_by(lambda: Caller("harbour-desk", "r-2")):
        judgement = NewJudgement(decision=Decision.CONFIRMED, vessel_id=known, note="same cranes")
        audited.review.judge(match.id, judgement)
    begun, done = audited.log.entries[-2:]
    assert (begun["action"], begun["phase"], done["phase"]) == ("verdict", "begun", "done")
    assert begun["who"] == begun["by"] == "harbour-desk"
    assert begun["match_id"] == str(match.id)
    assert begun["sighting_id"] == str(match.query.id)
    assert (begun["decision"], begun["vessel_id"]) == ("confirmed", str(known))
    assert begun["note"] == "same cranes"
    assert done["change_id"] == begun["change_id"]


def test_a_judgement_without_an_audit_entry_is_not_begun(audited: AuditedUseCases) -> None:
    match = audited.matcher.match(sar(1), MatchOptions()).match
    audited.log.room = 0
    with pytest.raises(StoreFullError):
        audited.review.judge(match.id, NewJudgement(decision=Decision.REJECTED))
    assert audited.review.show(match.id).record.judgements == ()


def test_a_change_without_an_audit_entry_is_not_begun(audited: AuditedUseCases) -> None:
    audited.log.room = 0
    with pytest.raises(StoreFullError):
        audited.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)])
    assert audited.gallery.counts().vessels == 0


def test_every_change_has_an_entry_before_and_after_it(audited: AuditedUseCases) -> None:
    first = audited.enrolment.enrol(NewVessel(name="A"), [optical(1), optical(2)])
    other = audited.enrolment.enrol(NewVessel(name="B"), [optical(3)]).vessel.id
    vessel = first.vessel.id
    audited.enrolment.add_chips(vessel, [optical(4)])
    audited.curation.update(vessel, VesselPatch(name="A2"))
    audited.curation.remove_chip(vessel, first.sightings[0].id)
    audited.curation.merge(vessel, other)
    audited.curation.split(vessel, [first.sightings[1].id], VesselPatch(name="C"))
    audited.curation.delete(vessel)
    actions = ["enrol", "enrol", "add-chips", "update", "remove-chip", "merge", "split", "delete"]
    assert audited.actions() == [(a, phase) for a in actions for phase in ("begun", "done")]
    begun, done = audited.log.entries[0:2]
    assert begun["change_id"] == done["change_id"]
    assert begun["chips"] == [optical(1).digest, optical(2).digest]
    assert begun["vessel_id"] == str(vessel)
    assert {s["sighting_id"] for s in done["sightings"]} == {str(s.id) for s in first.sightings}
    assert audited.log.entries[6]["attributes"] == {"name": "A2"}


def test_a_rejected_change_has_no_entry(audited: AuditedUseCases) -> None:
    audited.enrolment.enrol(NewVessel(name="A", imo="9074729"), [optical(1)])
    with pytest.raises(ConflictError):
        audited.enrolment.enrol(NewVessel(name="B", imo="9074729"), [optical(2)])
    assert audited.actions() == [("enrol", "begun"), ("enrol", "done")]


def test_a_change_that_fails_has_a_failed_entry(
    audited: AuditedUseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFullError("the disk is full")

    monkeypatch.setattr(audited.gallery, "put_sightings", full)
    with pytest.raises(StoreFullError, match="the disk"):
        audited.enrolment.enrol(NewVessel(name="A"), [optical(1)])
    assert audited.actions() == [("enrol", "begun"), ("enrol", "failed")]
    assert audited.log.entries[-1]["error"] == "store-full"


def test_outside_a_request_the_caller_is_the_service() -> None:
    assert current_caller() == Caller("service")


def test_a_recovery_entry_has_the_state_that_was_found(audited: AuditedUseCases) -> None:
    known = audited.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel
    audited.gallery.put_vessel(known.model_copy(update={"state": VesselState.DELETING}))
    audited.log.entries.clear()
    assert audited.recovery.run() == 1
    assert audited.actions() == [("recover", "begun"), ("recover", "done")]
    begun = audited.log.entries[0]
    assert (begun["vessel_id"], begun["found"]) == (str(known.id), "deleting")
    assert begun["who"] == "service"


def test_recovery_waits_while_the_audit_log_is_full(audited: AuditedUseCases) -> None:
    known = audited.enrolment.enrol(NewVessel(name="KNOWN"), [optical(1)]).vessel
    audited.gallery.put_vessel(known.model_copy(update={"state": VesselState.DELETING}))
    audited.log.room = 0
    with pytest.raises(StoreFullError):
        audited.recovery.run()
    assert audited.gallery.get_vessels([known.id])[known.id].state is VesselState.DELETING
    audited.log.room = 10
    assert audited.recovery.run() == 1
    assert audited.gallery.get_vessels([known.id])[known.id].state is VesselState.DELETED
