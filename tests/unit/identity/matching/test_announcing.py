"""Matches that the service found are sent to the webhook, each until it is accepted."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import StoreUnavailableError
from service.identity.leases import Task
from service.identity.matching.announcing import (
    GIVE_UP_AFTER,
    Announcements,
    Outcome,
    Reply,
    pause_s,
)
from service.identity.matching.asking_again import AskingAgain
from service.identity.matching.match import Matcher, MatchOptions
from service.identity.records.match_records import (
    Decision,
    MatchFilter,
    MatchRecord,
    MatchState,
    NewJudgement,
)
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import make_vessel
from tests.support.use_cases import CALIBRATION, MODEL, UseCases, sar, sar_look

ACCEPTED, REFUSED = Reply(True, "204"), Reply(False, "503")


@dataclass
class Webhook:
    """A webhook without a network, and a clock that tests set forward."""

    reply: Reply | None = ACCEPTED
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    counted: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    on_send: Callable[[], object] = lambda: None

    def send(self, message_id: str, body: bytes, _: Callable[[], bool]) -> Reply | None:
        self.sent.append((message_id, body))
        self.on_send()
        return self.reply


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def announcements(use_cases: UseCases, webhook: Webhook) -> Announcements:
    return make(use_cases, webhook)


def make(use_cases: UseCases, webhook: Webhook) -> Announcements:
    return Announcements(
        use_cases.context,
        use_cases.recovery.leases,
        webhook.send,
        webhook.counted.append,
        lambda: webhook.seconds,
    )


def put(use_cases: UseCases, count: int = 1, old: bool = False) -> list[MatchRecord]:
    """Store matches that wait to be sent."""
    now = use_cases.context.now() - (GIVE_UP_AFTER if old else timedelta())
    records = [
        make_match_record(
            [make_vessel()], unannounced=True, asked_at=now + timedelta(milliseconds=place)
        )
        for place in range(count)
    ]
    for record in records:
        use_cases.matches.put(record)
    return records


def test_a_match_is_sent_once_in_words_that_a_receiver_can_use(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    (record,) = put(use_cases)
    announcements.run()
    announcements.run()
    ((message_id, body),) = webhook.sent
    assert message_id == f"match_{record.id}"
    first = record.match.candidates[0]
    assert json.loads(body) == {
        "type": "match.new",
        "timestamp": record.asked_at.isoformat(),
        "data": {
            "match_id": str(record.id),
            "path": f"/matches/{record.id}",
            "sighting_id": str(record.match.query.id),
            "verdict": "ambiguous",
            "vessel_id": str(first.vessel.id),
            "probability": first.probability,
            "training_domain": "simulated",
        },
    }
    assert webhook.counted == [Outcome.DELIVERED]
    assert use_cases.matches.get(record.id) == record.model_copy(update={"unannounced": False})


def test_what_the_service_finds_is_marked_only_with_a_webhook(use_cases: UseCases) -> None:
    waiting = []
    for announces in (False, True):
        context = replace(use_cases.context, announces=announces)
        matcher = Matcher(
            context, use_cases.upload_embedder, MODEL, CALIBRATION, allow_confident=True
        )
        waiting.append(AskingAgain(context, use_cases.recovery.leases, matcher, CALIBRATION))
    for seed, sightings in zip((7, 8), waiting, strict=True):
        use_cases.matcher.match(sar(seed), MatchOptions())
        use_cases.enrolment.enrol(NewVessel(name="STAR"), [sar_look(seed)])
        while sightings.ask_again():
            pass
    new = use_cases.matches.page(MatchFilter(state=MatchState.NEW), 10, None).matches
    assert [one.unannounced for one in new] == [True, False]  # newest first
    assert use_cases.matches.unannounced() == [new[0].id]


def test_the_oldest_is_sent_first_and_a_failure_ends_the_round(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    records = put(use_cases, 3)
    webhook.reply = REFUSED
    announcements.run()
    announcements.run()
    assert [one for one, _ in webhook.sent] == [f"match_{one.id}" for one in records[:2]]
    webhook.reply = ACCEPTED
    announcements.run()
    assert [one for one, _ in webhook.sent[2:]] == [f"match_{records[2].id}"]
    webhook.seconds += 7.0
    announcements.run()
    assert webhook.sent[3:] == webhook.sent[:2]
    assert webhook.counted == [Outcome.FAILED] * 2 + [Outcome.DELIVERED] * 3
    assert use_cases.matches.unannounced() == []


def test_pauses_double_up_to_a_limit_and_vary() -> None:
    for failures, seconds in [(1, 5.0), (2, 10.0), (5, 80.0), (20, 14400.0), (5000, 14400.0)]:
        drawn = {pause_s(failures) for _ in range(50)}
        assert len(drawn) > 1
        assert min(drawn) >= 0.75 * seconds
        assert max(drawn) <= 1.25 * seconds


def test_a_receiver_may_ask_for_a_longer_pause(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    put(use_cases)
    webhook.reply = replace(REFUSED, wait_s=100.0)
    announcements.run()
    webhook.seconds = 99.0
    announcements.run()
    assert len(webhook.sent) == 1
    webhook.seconds = 100.0
    announcements.run()
    assert len(webhook.sent) == 2


@pytest.mark.parametrize("old", [True, False])
def test_an_old_match_and_a_receiver_that_is_gone_are_given_up(
    use_cases: UseCases,
    webhook: Webhook,
    announcements: Announcements,
    old: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (record,) = put(use_cases, old=old)
    webhook.reply = REFUSED if old else replace(REFUSED, final=True)
    announcements.run()
    assert webhook.counted == [Outcome.GIVEN_UP]
    assert use_cases.matches.unannounced() == []
    assert f"match {record.id} is not sent to the webhook again: 503" in caplog.text


def test_an_old_match_is_still_accepted(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    put(use_cases, old=True)
    announcements.run()
    assert webhook.counted == [Outcome.DELIVERED]


def test_a_restart_sends_what_was_not_accepted_and_keeps_the_message(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    put(use_cases)
    webhook.reply = REFUSED
    announcements.run()
    webhook.reply = None  # the service ends during the attempt
    make(use_cases, webhook).run()
    webhook.reply = ACCEPTED
    make(use_cases, webhook).run()
    make(use_cases, webhook).run()
    assert len(webhook.sent) == 3
    assert len(set(webhook.sent)) == 1
    assert webhook.counted == [Outcome.FAILED, Outcome.DELIVERED]


def test_a_mark_that_cannot_be_removed_now_is_removed_later_without_sending_again(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    (record,) = put(use_cases)

    def fail(_: MatchRecord) -> None:
        raise StoreUnavailableError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases.matches, "put", fail)
        with pytest.raises(StoreUnavailableError):
            announcements.run()
    with use_cases.recovery.leases.for_judgement(record.match.query.id):
        announcements.run()
    assert use_cases.matches.unannounced() == [record.id]
    announcements.run()
    assert use_cases.matches.unannounced() == []
    assert len(webhook.sent) == 1


def test_one_replica_at_a_time_sends(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    put(use_cases)
    with use_cases.recovery.leases.for_task(Task.ANNOUNCING):
        announcements.run()
    assert webhook.sent == []
    webhook.on_send = make(use_cases, webhook).run
    announcements.run()
    assert len(webhook.sent) == 1


def test_a_judgement_during_an_attempt_is_kept(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    (record,) = put(use_cases)
    rejected = NewJudgement(decision=Decision.REJECTED)
    webhook.on_send = lambda: use_cases.review.judge(record.id, rejected)
    announcements.run()
    kept = use_cases.matches.get(record.id)
    assert kept is not None
    assert (len(kept.judgements), kept.unannounced) == (1, False)


def test_a_match_that_was_deleted_is_not_sent(
    use_cases: UseCases, webhook: Webhook, announcements: Announcements
) -> None:
    first, second = put(use_cases, 2)
    webhook.on_send = lambda: use_cases.matches.delete_unjudged([first.id, second.id])
    announcements.run()
    assert len(webhook.sent) == 1
    assert list(use_cases.matches.all()) == []
