"""A kill during deletions, merges and splits leaves each change done or not done."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.faults.concurrent_clients import ClientRequest, random_chips
from tests.support.faults.forked_service import start_service
from tests.support.faults.inspection import assert_consistent_on_disk, chips_of, sound_audit_entries
from tests.support.faults.inspection import listed_vessels as listed
from tests.support.faults.scale import Scale

CURATORS = 3
VESSELS_EACH = 4
MAX_CHANGES = 6
MAX_DELAY_S = 0.03
LIMIT_S = 60.0

Fleet = frozenset[frozenset[str]]
"""The sets of chips of all vessels, without their ids."""


@dataclass
class Curator:
    """A client that changes its own vessels one at a time.

    Attributes:
        fleets: the possible states: two while a change is not acknowledged, else one.
    """

    url: str
    dice: random.Random
    vessels: dict[str, set[str]] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    changes: int = 0

    def enrol(self, api: httpx.Client) -> None:
        while len(self.vessels) < VESSELS_EACH:
            key = f"{self.dice.getrandbits(64):016x}"
            request = ClientRequest("/gallery", random_chips(self.dice, 2), f"SHIP {key}", key)
            assert request.send(api).status_code == 201
            self.vessels[request.vessel_id] = set(request.chips)
        self.fleets = [fleet_of(self.vessels)]

    def change_until_killed(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0) as api:
            while len(self.vessels) > 1:
                try:
                    self.change(api)
                except httpx.TransportError:
                    return

    def change(self, api: httpx.Client) -> None:
        """Make one change; until it is acknowledged, the state before or after it is possible."""
        kind, after, send = self.dice.choice([self.delete, self.merge, self.split])()
        self.fleets = [fleet_of(self.vessels), fleet_of(after)]
        answer = send(api)
        assert answer.is_success, (kind, answer.text)
        if kind == "split":
            after[answer.json()["id"]] = after.pop("new")
        self.vessels, self.fleets = after, [fleet_of(after)]
        self.changes += 1

    def delete(self) -> Any:
        one = self.dice.choice(list(self.vessels))
        after = {i: chips for i, chips in self.vessels.items() if i != one}
        return "delete", after, lambda api: api.delete(f"/gallery/{one}")

    def merge(self) -> Any:
        one, other = self.dice.sample(list(self.vessels), 2)
        after = {i: chips for i, chips in self.vessels.items() if i != other}
        after[one] = self.vessels[one] | self.vessels[other]
        return "merge", after, lambda api: api.post(f"/gallery/{one}/merge", json={"other": other})

    def split(self) -> Any:
        one = max(self.vessels, key=lambda i: len(self.vessels[i]))
        chips = sorted(self.vessels[one])
        if len(chips) < 2:
            return self.merge()
        leaving, staying = set(chips[:1]), set(chips[1:])

        def send(api: httpx.Client) -> httpx.Response:
            sightings = api.get(f"/gallery/{one}").json()["sightings"]
            moved = [s["id"] for s in sightings if s["sha256"] in leaving]
            return api.post(f"/gallery/{one}/split", json={"sightings": moved})

        return "split", {**self.vessels, one: staying, "new": leaving}, send

    def adopt_state(self, found: dict[str, set[str]]) -> None:
        """Assert that the found state is possible, and continue with it."""
        all_chips = set().union(*(chips for fleet in self.fleets for chips in fleet))
        own = {i: chips for i, chips in found.items() if chips & all_chips}
        assert fleet_of(own) in self.fleets
        self.vessels = own


def fleet_of(vessels: dict[str, set[str]]) -> Fleet:
    return frozenset(frozenset(chips) for chips in vessels.values())


@pytest.mark.timeout(900)
def test_a_kill_during_changes_leaves_each_done_or_not_done(scale: Scale, tmp_path: Path) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(9)
    curators = [Curator("", random.Random(i)) for i in range(CURATORS)]
    service = start_service(data, log)
    for _ in range(scale.kills_of_changes):
        with service.client() as api:
            for curator in curators:
                curator.url = service.url
                curator.enrol(api)
        threads = [threading.Thread(target=one.change_until_killed) for one in curators]
        for thread in threads:
            thread.start()
        await_changes(curators, dice.randint(1, MAX_CHANGES))
        time.sleep(dice.uniform(0.0, MAX_DELAY_S))
        service.kill()
        for thread in threads:
            thread.join()
        service = start_service(data, log)
        with service.client() as api:
            found = {vessel_id: chips_of(api, vessel_id) for vessel_id in listed(api)}
        for curator in curators:
            curator.adopt_state(found)
        assert len(found) == sum(len(one.vessels) for one in curators), "no other vessels"
        sound_audit_entries(data)
    service.stop()
    assert_consistent_on_disk(data)
    assert sum(one.changes for one in curators) >= scale.kills_of_changes


def await_changes(curators: list[Curator], more: int) -> None:
    """Wait until `more` changes were acknowledged; others are then in progress."""
    before = sum(one.changes for one in curators)
    deadline = time.monotonic() + LIMIT_S
    while sum(one.changes for one in curators) < before + more:
        assert time.monotonic() < deadline
        time.sleep(0.001)
