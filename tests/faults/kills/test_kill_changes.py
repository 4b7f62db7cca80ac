"""A kill during deletions, merges and splits leaves each change done or not done."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.faults.concurrent_clients import ClientRequest, random_chips
from tests.support.faults.inspection import chips_of, listed_vessels as listed, sound_audit_entries
from tests.support.faults.kill_rounds import ChangingClient, kill_rounds
from tests.support.faults.scale import Scale

CURATORS = 3
VESSELS_EACH = 4
MAX_CHANGES = 6

Fleet = frozenset[frozenset[str]]
"""The sets of chips of all vessels, without their ids."""


@dataclass
class Curator(ChangingClient):
    """A client that deletes, merges and splits its own vessels.

    Attributes:
        fleets: the possible states: two while a change is not acknowledged, else one.
    """

    vessels: dict[str, set[str]] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)

    def prepare(self, api: httpx.Client) -> None:
        while len(self.vessels) < VESSELS_EACH:
            key = f"{self.dice.getrandbits(64):016x}"
            request = ClientRequest("/gallery", random_chips(self.dice, 2), f"SHIP {key}", key)
            assert request.send(api).status_code == 201
            self.vessels[request.vessel_id] = set(request.chips)
        self.fleets = [fleet_of(self.vessels)]

    def change(self, api: httpx.Client) -> bool:
        """Make one change; until it is acknowledged, the state before or after it is possible."""
        kind, after, send = self.dice.choice([self.delete, self.merge, self.split])()
        self.fleets = [fleet_of(self.vessels), fleet_of(after)]
        answer = send(api)
        assert answer.is_success, (kind, answer.text)
        if kind == "split":
            after[answer.json()["id"]] = after.pop("new")
        self.vessels, self.fleets = after, [fleet_of(after)]
        self.changes += 1
        return len(self.vessels) > 1

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
    curators = [Curator(random.Random(i)) for i in range(CURATORS)]
    restarts = kill_rounds(
        curators,
        tmp_path,
        rounds=scale.kills_of_changes,
        max_changes=MAX_CHANGES,
        dice=random.Random(9),
    )
    for api in restarts:
        found = {vessel_id: chips_of(api, vessel_id) for vessel_id in listed(api)}
        for curator in curators:
            curator.adopt_state(found)
        assert len(found) == sum(len(one.vessels) for one in curators), "no other vessels"
        sound_audit_entries(tmp_path / "data")
