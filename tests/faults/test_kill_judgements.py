"""The service is killed while analysts ask and judge: each judgement is made or not, never half.

Every match is there, and whatever is true afterwards, a match and its query sighting say the same.
"""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.storage.edge.matches import EdgeMatchStore
from tests.support.faults.crowd import Order, some_chips
from tests.support.faults.forked import start_service
from tests.support.faults.inspection import assert_audit_whole, assert_nothing_half_there
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import cut_chip

ANALYSTS = 3
MATCHES_EACH = 3
VESSELS_EACH = 2
MOST_JUDGEMENTS = 8
LONGEST_S = 0.03
LIMIT_S = 60.0

Said = tuple[str, str | None]
"""A decision, and the vessel that was confirmed."""


@dataclass
class Analyst:
    """Asks and judges matches of their own; `under_way` may have been judged or not."""

    dice: random.Random
    url: str = ""
    vessels: list[str] = field(default_factory=list)
    judged: dict[str, list[Said]] = field(default_factory=dict)
    under_way: tuple[str, Said] | None = None
    judgements: int = 0

    def settle_in(self, api: httpx.Client) -> None:
        while len(self.vessels) < VESSELS_EACH:
            key = f"{self.dice.getrandbits(64):016x}"
            order = Order("/gallery", some_chips(self.dice, 1), f"SHIP {key}", key)
            assert order.send(api).status_code == 201
            self.vessels.append(order.vessel_id)
        while len(self.judged) < MATCHES_EACH:
            self.ask(api)

    def work_until_killed(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0) as api:
            while True:
                try:
                    self.ask(api) if self.dice.random() < 0.2 else self.judge(api)
                except httpx.TransportError:
                    return

    def ask(self, api: httpx.Client) -> None:
        files = {"chip": ("q.tif", cut_chip(self.dice))}
        answer = api.post("/match", files=files, data={"modality": "sar"})
        assert answer.status_code == 200, answer.text
        self.judged[answer.json()["match_id"]] = []

    def judge(self, api: httpx.Client) -> None:
        match_id = self.dice.choice(list(self.judged))
        said = self.choose(self.judged[match_id])
        self.under_way = match_id, said
        decision, vessel_id = said
        body = {"decision": decision, "vessel_id": vessel_id}
        answer = api.post(f"/matches/{match_id}/verdict", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["sighting"]["vessel_id"] == vessel_id
        self.judged[match_id].append(said)
        self.under_way = None
        self.judgements += 1

    def choose(self, before: Sequence[Said]) -> Said:
        kinds = ["confirmed", "confirmed", "rejected"]
        if before and before[-1][0] != "withdrawn":
            kinds.append("withdrawn")
        kind = self.dice.choice(kinds)
        return kind, self.dice.choice(self.vessels) if kind == "confirmed" else None

    def find(self, api: httpx.Client) -> None:
        """Every match is there with what was acknowledged, and perhaps what was under way."""
        for match_id, said in self.judged.items():
            kept = api.get(f"/matches/{match_id}").raise_for_status().json()
            found = [(one["decision"], one["vessel_id"]) for one in kept["judgements"]]
            may_be = [said]
            if self.under_way is not None and self.under_way[0] == match_id:
                may_be.append([*said, self.under_way[1]])
            assert found in may_be
            assert kept["sighting"]["vessel_id"] == (found[-1][1] if found else None)
            self.judged[match_id] = found
        self.under_way = None


@pytest.mark.timeout(900)
def test_killed_during_judgements(scale: Scale, tmp_path: Path) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(10)
    analysts = [Analyst(random.Random(100 + i)) for i in range(ANALYSTS)]
    service = start_service(data, log)
    for _ in range(scale.kills_of_judgements):
        with service.client() as api:
            for one in analysts:
                one.url = service.url
                one.settle_in(api)
        threads = [threading.Thread(target=one.work_until_killed) for one in analysts]
        for thread in threads:
            thread.start()
        await_judgements(analysts, dice.randint(1, MOST_JUDGEMENTS))
        time.sleep(dice.uniform(0.0, LONGEST_S))
        service.kill()
        for thread in threads:
            thread.join()
        service = start_service(data, log)
        with service.client() as api:
            for one in analysts:
                one.find(api)
        assert_accounted_for(data, analysts)
    service.stop()
    assert_nothing_half_there(data)
    assert sum(one.judgements for one in analysts) >= scale.kills_of_judgements
    history = EdgeMatchStore(data / "matches")
    assert history.unsettled() == []
    remembered = {kept.id for kept in history.all()}
    history.close()
    assert {UUID(match_id) for one in analysts for match_id in one.judged} <= remembered
    entries = assert_audit_whole(data)
    assert remembered <= {UUID(e["match_id"]) for e in entries if e["action"] == "match"}


def await_judgements(analysts: list[Analyst], more: int) -> None:
    """Until so many more were acknowledged, and the next ones are under way."""
    before = sum(one.judgements for one in analysts)
    deadline = time.monotonic() + LIMIT_S
    while sum(one.judgements for one in analysts) < before + more:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def assert_accounted_for(data: Path, analysts: list[Analyst]) -> None:
    """Nothing is judged without being told beforehand; what was acknowledged was done."""
    entries = [entry for entry in assert_audit_whole(data) if entry["action"] == "verdict"]
    done = [entry for entry in entries if entry["phase"] == "done"]
    assert len(done) >= sum(one.judgements for one in analysts)
    told: dict[str, list[Said]] = defaultdict(list)
    for entry in entries:
        if entry["phase"] == "begun":
            told[entry["match_id"]].append((entry["decision"], entry["vessel_id"]))
    for one in analysts:
        for match_id, said in one.judged.items():
            assert Counter(said) <= Counter(told[match_id])
