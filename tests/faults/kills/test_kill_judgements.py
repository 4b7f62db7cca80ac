"""A kill while analysts match and judge leaves each judgement done or not done.

Every acknowledged match is stored, and a match agrees with its query sighting.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.storage.sqlite.matches import SqliteMatchStore
from tests.support.faults.concurrent_clients import ClientRequest, random_chips
from tests.support.faults.inspection import sound_audit_entries
from tests.support.faults.kill_rounds import ChangingClient, kill_rounds
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import cut_chip

ANALYSTS = 3
MATCHES_EACH = 3
VESSELS_EACH = 2
MAX_JUDGEMENTS = 8

Verdict = tuple[str, str | None]
"""A decision, and the vessel that was confirmed."""


@dataclass
class Analyst(ChangingClient):
    """A client that requests and judges its own matches.

    Attributes:
        judged: acknowledged verdicts by match id.
        under_way: a match and the verdict on it that is not acknowledged yet.
    """

    vessels: list[str] = field(default_factory=list)
    judged: dict[str, list[Verdict]] = field(default_factory=dict)
    under_way: tuple[str, Verdict] | None = None

    def prepare(self, api: httpx.Client) -> None:
        while len(self.vessels) < VESSELS_EACH:
            key = f"{self.dice.getrandbits(64):016x}"
            request = ClientRequest("/gallery", random_chips(self.dice, 1), f"SHIP {key}", key)
            assert request.send(api).status_code == 201
            self.vessels.append(request.vessel_id)
        while len(self.judged) < MATCHES_EACH:
            self.match(api)

    def change(self, api: httpx.Client) -> bool:
        if self.dice.random() < 0.2:
            self.match(api)
        else:
            self.judge(api)
        return True

    def match(self, api: httpx.Client) -> None:
        files = {"chip": ("q.tif", cut_chip(self.dice))}
        answer = api.post("/match", files=files, data={"modality": "sar"})
        assert answer.status_code == 200, answer.text
        self.judged[answer.json()["match_id"]] = []

    def judge(self, api: httpx.Client) -> None:
        match_id = self.dice.choice(list(self.judged))
        verdict = self.choose(self.judged[match_id])
        self.under_way = match_id, verdict
        decision, vessel_id = verdict
        body = {"decision": decision, "vessel_id": vessel_id}
        answer = api.post(f"/matches/{match_id}/verdict", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["sighting"]["vessel_id"] == vessel_id
        self.judged[match_id].append(verdict)
        self.under_way = None
        self.changes += 1

    def choose(self, before: Sequence[Verdict]) -> Verdict:
        kinds = ["confirmed", "confirmed", "rejected"]
        if before and before[-1][0] != "withdrawn":
            kinds.append("withdrawn")
        kind = self.dice.choice(kinds)
        return kind, self.dice.choice(self.vessels) if kind == "confirmed" else None

    def adopt_state(self, api: httpx.Client) -> None:
        """Assert that every match has the acknowledged verdicts; one under way may be added."""
        for match_id, verdicts in self.judged.items():
            record = api.get(f"/matches/{match_id}").raise_for_status().json()
            found = [(one["decision"], one["vessel_id"]) for one in record["judgements"]]
            possible = [verdicts]
            if self.under_way is not None and self.under_way[0] == match_id:
                possible.append([*verdicts, self.under_way[1]])
            assert found in possible
            assert record["sighting"]["vessel_id"] == (found[-1][1] if found else None)
            self.judged[match_id] = found
        self.under_way = None


@pytest.mark.timeout(900)
def test_a_kill_during_judgements_leaves_each_done_or_not_done(
    scale: Scale, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    analysts = [Analyst(random.Random(100 + i)) for i in range(ANALYSTS)]
    restarts = kill_rounds(
        analysts,
        tmp_path,
        rounds=scale.kills_of_judgements,
        max_changes=MAX_JUDGEMENTS,
        dice=random.Random(10),
    )
    for api in restarts:
        for one in analysts:
            one.adopt_state(api)
        assert_judgements_audited(data, analysts)
    matches = SqliteMatchStore(data / "matches.sqlite")
    assert matches.unsettled() == []
    stored = {record.id for record in matches.all()}
    matches.close()
    assert {UUID(match_id) for one in analysts for match_id in one.judged} <= stored
    entries = sound_audit_entries(data)
    assert stored <= {UUID(e["match_id"]) for e in entries if e["action"] == "match"}


def assert_judgements_audited(data: Path, analysts: list[Analyst]) -> None:
    """Assert that each judgement was logged as begun, and each acknowledged one as done."""
    entries = [entry for entry in sound_audit_entries(data) if entry["action"] == "verdict"]
    done = [entry for entry in entries if entry["phase"] == "done"]
    assert len(done) >= sum(one.changes for one in analysts)
    begun: dict[str, list[Verdict]] = defaultdict(list)
    for entry in entries:
        if entry["phase"] == "begun":
            begun[entry["match_id"]].append((entry["decision"], entry["vessel_id"]))
    for one in analysts:
        for match_id, verdicts in one.judged.items():
            assert Counter(verdicts) <= Counter(begun[match_id])
