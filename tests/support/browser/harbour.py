"""A service with a few vessels of the demo's fleet, their positions made up, and some matches."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.paths import FLEET

VESSELS = ("0001", "0003", "0005", "0007", "0009", "0011")
QUERIES = ("0001", "0003", "0905")
SINGAPORE = (1.2, 103.8)


@dataclass(frozen=True)
class Harbour:
    """What was registered and asked.

    Attributes:
        vessels: ids by number in the fleet.
        matches: match ids by number of the query.
    """

    vessels: dict[str, str]
    matches: dict[str, str]


def chips_of(number: str) -> list[Path]:
    """The optical chips of a ship of the demo's fleet."""
    return sorted((FLEET / "bounding_box_test").glob(f"{number}_*"))


def query_chip(number: str) -> Path:
    """The SAR chip of a ship of the demo's fleet."""
    return FLEET / "query" / f"{number}_s01c3_SAR.tif"


def fill(client: httpx.Client) -> Harbour:
    """Register the vessels and ask about the queries."""
    vessels = {number: enrol(client, number, place) for place, number in enumerate(VESSELS)}
    matches = {number: ask(client, number)["match_id"] for number in QUERIES}
    return Harbour(vessels, matches)


def enrol(client: httpx.Client, number: str, place: int) -> str:
    """Register one ship with its optical chips, a day apart; return the vessel's id."""
    lat, lon = SINGAPORE
    about = [
        {
            "modality": "optical",
            "gsd_m": 0.75,
            "captured_at": f"2026-03-0{day + 1}T08:00:00Z",
            "lat": lat + 0.3 * place,
            "lon": lon + 0.5 * day,
        }
        for day, _ in enumerate(chips_of(number))
    ]
    vessel = {"name": f"HARBOUR {number}", "type": "bulk carrier", "source": "made up"}
    answer = client.post(
        "/gallery",
        data={"vessel": json.dumps(vessel), "chip_metadata": json.dumps(about)},
        files=[("chips", (path.name, path.read_bytes())) for path in chips_of(number)],
    )
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def ask(client: httpx.Client, number: str, **facts: str) -> dict[str, Any]:
    """Ask about the SAR chip of a ship, near the harbour three days later."""
    lat, lon = SINGAPORE
    stated = {
        "gsd_m": "1.0",
        "captured_at": "2026-03-04T08:00:00Z",
        "lat": str(lat + 1),
        "lon": str(lon + 1),
    }
    path = query_chip(number)
    answer = client.post(
        "/match", data=stated | facts, files={"chip": (path.name, path.read_bytes())}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask_about_looks(client: httpx.Client, number: str) -> None:
    """Ask about both optical chips of a ship, and wait until they are a group.

    Different ships are at different ends of the world at one time, and so in different groups.
    """
    at = {
        "captured_at": "2026-03-04T08:00:00Z",
        "lat": str(int(number) * 13 % 120 - 60),
        "lon": "0",
    }
    for path in chips_of(number):
        facts = {"modality": "optical", "gsd_m": "0.75", **at}
        chip = {"chip": (path.name, path.read_bytes())}
        answer = client.post("/match", data=facts, files=chip)
        assert answer.status_code == 200, answer.text
    wait_for_group(client, number)


def wait_for_group(client: httpx.Client, number: str) -> None:
    """Wait until the optical chips of a ship are a group."""
    names = {path.name for path in chips_of(number)}
    deadline = time.monotonic() + 60
    while True:
        groups = client.get("/sightings/open/groups").json()["groups"]
        if names in [{one["sighting"]["file_name"] for one in g["sightings"]} for g in groups]:
            return
        assert time.monotonic() < deadline, groups
        time.sleep(0.1)
