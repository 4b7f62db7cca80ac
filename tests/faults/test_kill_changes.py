"""The service is killed while vessels are deleted, merged and split: each change is made or not."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.faults.crowd import Order, some_chips
from tests.support.faults.forked import start_service
from tests.support.faults.inspection import assert_audit_whole, assert_nothing_half_there, chips_of
from tests.support.faults.inspection import listed_vessels as listed
from tests.support.faults.scale import Scale

CURATORS = 3
VESSELS_EACH = 4
MOST_CHANGES = 6
LONGEST_S = 0.03
LIMIT_S = 60.0

Fleet = frozenset[frozenset[str]]
"""Which chips belong together, whatever the vessels are called."""


@dataclass
class Curator:
    """Changes vessels of their own, one after the other; `fleets` are all that may be true now."""

    url: str
    dice: random.Random
    vessels: dict[str, set[str]] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    changes: int = 0

    def enrol(self, api: httpx.Client) -> None:
        while len(self.vessels) < VESSELS_EACH:
            key = f"{self.dice.getrandbits(64):016x}"
            order = Order("/gallery", some_chips(self.dice, 2), f"SHIP {key}", key)
            assert order.send(api).status_code == 201
            self.vessels[order.vessel_id] = set(order.chips)
        self.fleets = [fleet_of(self.vessels)]

    def change_until_killed(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0) as api:
            while len(self.vessels) > 1:
                try:
                    self.change(api)
                except httpx.TransportError:
                    return

    def change(self, api: httpx.Client) -> None:
        """One change: before it is acknowledged the fleet may be as before or as after."""
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

    def find(self, there: dict[str, set[str]]) -> None:
        """See which of the fleets is true, and go on with it."""
        every = set().union(*(chips for fleet in self.fleets for chips in fleet))
        mine = {i: chips for i, chips in there.items() if chips & every}
        assert fleet_of(mine) in self.fleets
        self.vessels = mine


def fleet_of(vessels: dict[str, set[str]]) -> Fleet:
    return frozenset(frozenset(chips) for chips in vessels.values())


@pytest.mark.timeout(900)
def test_killed_during_changes(scale: Scale, tmp_path: Path) -> None:
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
        await_changes(curators, dice.randint(1, MOST_CHANGES))
        time.sleep(dice.uniform(0.0, LONGEST_S))
        service.kill()
        for thread in threads:
            thread.join()
        service = start_service(data, log)
        with service.client() as api:
            there = {vessel_id: chips_of(api, vessel_id) for vessel_id in listed(api)}
        for curator in curators:
            curator.find(there)
        assert len(there) == sum(len(one.vessels) for one in curators), "nobody else's vessels"
        assert_audit_whole(data)
    service.stop()
    assert_nothing_half_there(data)
    assert sum(one.changes for one in curators) >= scale.kills_of_changes


def await_changes(curators: list[Curator], more: int) -> None:
    """Until so many more were acknowledged, and the next ones are under way."""
    before = sum(one.changes for one in curators)
    deadline = time.monotonic() + LIMIT_S
    while sum(one.changes for one in curators) < before + more:
        assert time.monotonic() < deadline
        time.sleep(0.001)
