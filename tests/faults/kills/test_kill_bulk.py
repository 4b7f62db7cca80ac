"""A kill during a bulk enrolment loses no chip that was acknowledged, and it can be sent again."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api_requests import bulk_form
from tests.support.faults.forked_service import ForkedService, start_service
from tests.support.faults.inspection import (
    assert_audited,
    assert_consistent_on_disk,
    chips_of,
    listed_vessels,
)
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import OPTICAL, cut_chip

VESSELS, EACH = 12, 3
MOST_LINES = VESSELS * EACH - 4
"""The service is killed before so many chips are acknowledged."""


@pytest.mark.timeout(1100)
def test_a_kill_during_bulk_enrolment_loses_nothing_acknowledged(
    scale: Scale, tmp_path: Path
) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(9)
    service = start_service(data, log)
    known: set[str] = set()
    for _ in range(scale.kills):
        chips = {f"{number}.png": cut_chip(dice, OPTICAL) for number in range(VESSELS * EACH)}
        vessels = [{"name": f"SHIP {dice.getrandbits(64):016x}"} for _ in range(VESSELS)]
        lines = [
            {"chip": name, "vessel": vessels[number // EACH]} for number, name in enumerate(chips)
        ]
        told = enrol_until_killed(service, lines, chips, dice.randrange(MOST_LINES))
        service = start_service(data, log)
        with service.client() as api:
            for one in told:
                digest = hashlib.sha256(chips[one["chip"]]).hexdigest()
                assert digest in chips_of(api, one["vessel_id"])
            feed = {one["chip"]: one for one in enrol(api, lines, chips)}
            assert {feed[one["chip"]]["outcome"] for one in told} <= {"unchanged"}
            assert {one["outcome"] for one in feed.values()} <= {"unchanged", "enrolled"}
            known |= {one["vessel_id"] for one in feed.values()}
            assert listed_vessels(api).keys() == known, "sent again, no vessel is there twice"
    service.stop()
    assert_consistent_on_disk(data)
    assert_audited(data, known, ())


def enrol(
    api: httpx.Client, lines: list[dict[str, Any]], chips: dict[str, bytes]
) -> list[dict[str, Any]]:
    """Send all; return what became of each chip."""
    response = api.post("/gallery/bulk", **bulk_form(lines, chips)).raise_for_status()
    return [json.loads(line) for line in response.text.splitlines()][:-1]


def enrol_until_killed(
    service: ForkedService, lines: list[dict[str, Any]], chips: dict[str, bytes], most: int
) -> list[dict[str, Any]]:
    """Kill the service when so many lines have come; return all that came."""
    told = []
    with service.client() as api:
        try:
            with api.stream("POST", "/gallery/bulk", **bulk_form(lines, chips)) as response:
                for line in response.iter_lines():
                    told.append(json.loads(line))
                    if len(told) > most:
                        service.kill()
        except httpx.TransportError:
            pass
    service.kill()
    assert all(one["outcome"] == "enrolled" for one in told if "totals" not in one)
    return [one for one in told if "totals" not in one]
