"""A kill while several clients enrol loses nothing that was acknowledged.

Unacknowledged enrolments are stored completely or not at all, and a repeated request with the same
idempotency key is answered without a second enrolment.
"""

import random
import time
from pathlib import Path

import httpx
import pytest

from tests.support.faults.concurrent_clients import ClientRequest, ConcurrentClients
from tests.support.faults.forked_service import ForkedService, start_service
from tests.support.faults.inspection import (
    assert_audited,
    assert_consistent_on_disk,
    chips_of,
    listed_vessels,
    sound_audit_entries,
    stored_chips,
)
from tests.support.faults.scale import Scale

MAX_DELAY_S = 1.2
KILLED_AT_START = 0.1
"""Share of the rounds in which the next start is killed, too."""
STARTING_S = 1.5
REPEATED_ACKNOWLEDGED = 2


class Acknowledged:
    """What was acknowledged so far: chips by vessel, ids of matches, and chips of matches."""

    def __init__(self) -> None:
        self.chips: dict[str, set[str]] = {}
        self.matches: set[str] = set()
        self.open_chips: set[str] = set()

    def add(self, requests: list[ClientRequest]) -> None:
        for request in requests:
            if request.answer is None:
                continue
            if request.path == "/match":
                self.matches.add(request.answer["match_id"])
                self.open_chips |= request.chips.keys()
            else:
                self.chips.setdefault(request.vessel_id, set()).update(request.chips)


@pytest.mark.timeout(1100)
def test_a_kill_during_concurrent_enrolment_loses_nothing_acknowledged(
    scale: Scale, tmp_path: Path
) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(4)
    known, unanswered = Acknowledged(), 0
    service = start_service(data, log)
    for round_number in range(scale.kills):
        clients = kill_under_load(service, round_number, dice)
        if dice.random() < KILLED_AT_START:
            kill_while_starting(data, log, dice)
        service = start_service(data, log)
        with service.client() as api:
            assert_kept(api, data, known, clients)
            unanswered += len(clients.unanswered())
            repeat(api, clients)
            known.add(clients.requests)
    service.stop()
    assert_consistent_on_disk(data)
    assert_audited(data, known.chips.keys(), known.matches)
    assert len(known.chips) >= scale.kills / 2, "requests were acknowledged before the kills"
    assert unanswered >= scale.kills, "and requests were in progress at the kills"


def kill_under_load(service: ForkedService, seed: int, dice: random.Random) -> ConcurrentClients:
    with ConcurrentClients(service.url, seed) as clients:
        time.sleep(dice.uniform(0.0, MAX_DELAY_S))
        service.kill()
    assert clients.refusals == []
    return clients


def kill_while_starting(data: Path, log: Path, dice: random.Random) -> None:
    """Kill a service while it recovers from an earlier kill."""
    starting = start_service(data, log, wait=False)
    time.sleep(dice.uniform(0.0, STARTING_S))
    starting.kill()


def assert_kept(
    api: httpx.Client, data: Path, known: Acknowledged, clients: ConcurrentClients
) -> None:
    """Assert that acknowledged requests are stored, and the others completely or not at all."""
    listed = listed_vessels(api)
    assert known.chips.keys() <= listed.keys()
    latest = Acknowledged()
    latest.add(clients.acknowledged())
    present: set[str] = set()
    touched = latest.chips.keys() | (listed.keys() - known.chips.keys())
    for vessel_id in touched:
        present |= chips_of(api, vessel_id)
    for request in clients.requests:
        assert_whole_or_absent(api, request, listed, present)
    enrolled = set().union(*known.chips.values(), present)
    for request in clients.requests:
        if request.path == "/match" and has_sighting(api, request):
            enrolled |= request.chips.keys()
    assert stored_chips(data) == enrolled | known.open_chips
    sound_audit_entries(data)


def assert_whole_or_absent(
    api: httpx.Client,
    request: ClientRequest,
    listed: dict[str, dict[str, object]],
    present: set[str],
) -> None:
    if request.path == "/match":
        assert has_sighting(api, request) or not request.acknowledged
        return
    assert request.chips.keys() <= present or (
        not request.acknowledged and not request.chips.keys() & present
    ), f"{request.path} is stored in part"
    if request.name:
        named = [one for one in listed.values() if one["name"] == request.name]
        assert len(named) == bool(request.chips.keys() & present)


def has_sighting(api: httpx.Client, request: ClientRequest) -> bool:
    """Return whether the sighting of a match exists, with its chip."""
    (identity,) = request.open_sightings()
    answer = api.get(f"/sightings/{identity}/chip")
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200 and answer.content in request.chips.values()


def repeat(api: httpx.Client, clients: ConcurrentClients) -> None:
    """Repeat requests with their idempotency keys: same vessels, same chips, no duplicates."""
    before = {one.vessel_id for one in clients.acknowledged() if one.path != "/match"}
    for request in [*clients.unanswered(), *clients.acknowledged()[-REPEATED_ACKNOWLEDGED:]]:
        earlier = request.answer
        answer = request.send(api)
        assert answer.is_success, answer.text
        if earlier is not None and request.path != "/match":
            assert request.vessel_id == earlier["id"]
        if request.path != "/match":
            assert request.chips.keys() <= chips_of(api, request.vessel_id)
    names = [one["name"] for one in listed_vessels(api).values()]
    assert len(names) == len(set(names))
    assert before <= listed_vessels(api).keys()
