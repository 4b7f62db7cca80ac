"""Open sightings are grouped, marked as different, registered as one vessel, over HTTP."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from crossfix import Client
from service.client.remote.models import SightingGroup
from tests.support.paths import FLEET
from tests.support.processes.cli import crossfix
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    settings = {"CROSSFIX_ASK_AGAIN_INTERVAL_S": "0.1"}
    with running_service(tmp_path_factory.mktemp("groups"), settings=settings) as process:
        yield process


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    with Client(service.url) as one:
        yield one


def ask(client: Client, number: str) -> list[str]:
    """Ask about both optical chips of a ship; return the ids of the sightings."""
    chips = sorted((FLEET / "bounding_box_test").glob(f"{number}_*_RGB.jpg"))
    answers = [
        client.match(
            chip,
            modality="optical",
            gsd_m=0.75,
            captured_at="2026-03-04T08:00:00Z",
            lat=int(number) * 5.0,  # no ship was at two of these places
            lon=0.0,
        )
        for chip in chips
    ]
    return sorted(str(one.query.sighting_id) for one in answers)


def ids_of(group: SightingGroup) -> list[str]:
    return sorted(str(one.sighting.id) for one in group.sightings)


def shown_in(group: dict[str, Any]) -> list[str]:
    return sorted(one["sighting"]["id"] for one in group["sightings"])


def wait_for(client: Client, sightings: list[str], there: bool = True) -> None:
    """Wait until these sightings are a group, or are none."""
    deadline = time.monotonic() + 60
    while (sightings in [ids_of(one) for one in client.groups()]) is not there:
        assert time.monotonic() < deadline, [ids_of(one) for one in client.groups()]
        time.sleep(0.1)


def test_two_looks_at_an_unknown_ship_become_a_vessel(
    client: Client, api: httpx.Client, service: ServiceProcess
) -> None:
    sightings = ask(client, "0003")
    wait_for(client, sightings)
    body = api.get("/sightings/open/groups").json()
    (group,) = [one for one in body["groups"] if shown_in(one) == sightings]
    assert body["threshold"] <= group["probability"] < 1
    assert group["chips"] == 2
    assert body["model"]["training_domain"] == "simulated"
    listed = crossfix("groups", "--url", service.url, "--json")
    assert group["group_id"] in [one["group_id"] for one in json.loads(listed.stdout)]
    vessel = client.enrol_sightings(sightings, {"name": "UNKNOWN 1"})
    assert vessel.created
    assert sorted(str(one.id) for one in vessel.sightings) == sightings
    for one in group["sightings"]:
        record = client.get_match(one["match_id"])
        assert record.standing == "confirmed"
    wait_for(client, sightings, there=False)
    again = api.post(
        "/sightings/open/enrol", json={"sightings": sightings, "vessel": {"name": "UNKNOWN 1"}}
    )
    assert again.status_code == 200
    taken = api.post("/sightings/open/enrol", json={"sightings": sightings[:1]})
    assert (taken.status_code, taken.json()["vessel_id"]) == (409, str(vessel.id))


def test_what_is_marked_different_leaves_the_group_and_comes_back(
    client: Client, service: ServiceProcess
) -> None:
    sightings = ask(client, "0011")
    wait_for(client, sightings)
    crossfix("mark-different", *sightings, "--url", service.url)
    wait_for(client, sightings, there=False)
    client.mark_different(sightings, different=False)
    wait_for(client, sightings)


def test_what_does_not_wait_is_refused(api: httpx.Client) -> None:
    unknown = api.post(
        "/sightings/open/different", json={"sightings": [str(uuid4()), str(uuid4())]}
    )
    assert unknown.status_code == 404
    alone = api.post("/sightings/open/different", json={"sightings": [str(uuid4())]})
    assert alone.status_code == 422
    assert api.get("/sightings/open/groups", params={"cursor": "x"}).status_code == 422
