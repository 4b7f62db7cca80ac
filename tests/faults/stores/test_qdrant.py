"""Qdrant drops, delays and resets connections, or sends wrong responses.

Nothing acknowledged is lost, and no change is visible in part. A real service uses a double of
Qdrant through a proxy with faults.
"""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.storage.server.counts import COUNTS_MAX_AGE_S
from service.wiring.app import SCRAPE_WAIT_S
from tests.support.doubles.proxy import Fault
from tests.support.doubles.qdrant_http import RefusedError
from tests.support.faults.outages import WRONG_RESPONSES, unavailable, wait_until
from tests.support.faults.qdrant_site import (
    DISCONNECTED,
    KEY,
    SLACK_S,
    SLOW_MACHINE_S,
    TIMEOUT_S,
    Request,
    Ship,
    Site,
    running_site,
    ship,
    visible,
)
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import optical_png, sar_tiff

ALL_REFUSED_S = 6 * TIMEOUT_S + SLACK_S


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("qdrant")) as site:
        yield site


NOT_READY_S = 3 * TIMEOUT_S + SLACK_S


WRITERS = 4
REPEATED = 200
"""How many of the refused enrolments are repeated at the end."""


FAULTS = [
    DISCONNECTED,
    Fault("silent", silent=True),
    Fault("late", delay_s=2 * TIMEOUT_S),
    Fault("cut-in-the-head", cut_after=60),
    Fault("cut-in-the-body", cut_after=160),
]


@pytest.fixture
def api(site: Site) -> Iterator[httpx.Client]:
    with site.service.client() as client:
        yield client
        site.heal(client)


def requests_to_qdrant(known: Ship, new: Ship) -> list[Request]:
    """Return every kind of request that needs Qdrant."""
    path = f"/gallery/{known.id}"
    chip = {"chip": sar_tiff(3)}
    return [
        lambda api: api.get("/gallery"),
        lambda api: api.get(path),
        lambda api: api.post("/match", files=chip, data={"store": "false"}),
        lambda api: api.post("/match", files=chip),
        new.enrol,
        lambda api: api.post(f"{path}/chips", files={"chips": optical_png(77)}),
        lambda api: api.patch(path, json={"type": "bulk carrier"}),
        lambda api: api.delete(path),
    ]


def assert_all_refused(api: httpx.Client, requests: list[Request]) -> None:
    """Assert that simultaneous requests are all refused with 503 in time."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(requests)) as pool:
        for answer in pool.map(lambda request: request(api), requests):
            unavailable(answer)
    assert time.monotonic() - began < ALL_REFUSED_S


def assert_not_ready(api: httpx.Client) -> None:
    """Assert that `/readyz` reports the gallery alone, and that `/livez` and `/metrics` work."""
    wait_until(lambda: api.get("/readyz").status_code == 503, NOT_READY_S, "becoming not ready")
    parts = api.get("/readyz").json()["parts"]
    assert [name for name, problem in parts.items() if problem] == ["gallery"]
    assert api.get("/livez").status_code == 200
    assert api.get("/metrics").status_code == 200


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_an_outage_is_answered_with_503_and_the_service_recovers(
    site: Site, api: httpx.Client, fault: Fault
) -> None:
    known, new = ship(9000), ship(9001)
    assert known.enrol(api).status_code in (200, 201)
    before = visible(api)
    site.proxy.inject(fault)
    assert_all_refused(api, requests_to_qdrant(known, new))
    assert_not_ready(api)
    site.heal(api)
    assert visible(api) == before
    assert new.enrol(api).status_code == 201
    assert visible(api) == before | {new.name: 2}
    assert api.delete(f"/gallery/{new.id}").status_code == 204


def test_wrong_responses_are_answered_with_503(site: Site, api: httpx.Client) -> None:
    known, new = ship(9010), ship(9011)
    assert known.enrol(api).status_code == 201
    before = visible(api)
    for fault in WRONG_RESPONSES:
        site.proxy.inject(fault)
        assert_all_refused(api, requests_to_qdrant(known, new))
    assert_not_ready(api)
    site.heal(api)
    assert visible(api) == before


def metric(api: httpx.Client, name: str) -> float:
    """Return the value of a metric, with its labels; 0 before it was first set."""
    lines = [line.rpartition(" ") for line in api.get("/metrics").text.splitlines()]
    return next((float(value) for found, _, value in lines if found == name), 0.0)


def test_a_match_that_cannot_be_stored_is_answered_and_counted(
    site: Site, api: httpx.Client
) -> None:
    known = ship(9020)
    assert known.enrol(api).status_code == 201
    unstored, repeated = (
        'crossfix_unstored_matches_total{outcome="waiting"}',
        "crossfix_store_retries_total",
    )
    before = metric(api, unstored), metric(api, repeated)

    def refuse_writes(request: str) -> None:
        if request == "PUT points":
            raise RefusedError(503, "the node is away")

    site.double.before = refuse_writes
    answer = api.post("/match", files={"chip": sar_tiff(9)})
    waiting = metric(api, "crossfix_outbox_matches")  # before the store takes it
    site.double.before = lambda _: None
    assert answer.status_code == 200, answer.text
    assert not answer.json()["stored"]
    assert any(text.startswith("stored:") for text in answer.json()["query"]["warnings"])
    assert metric(api, unstored) == before[0] + 1
    assert metric(api, repeated) > before[1]
    assert waiting == 1


def test_an_outage_is_logged_and_counted(site: Site, api: httpx.Client) -> None:
    name = 'crossfix_errors_total{kind="store-unavailable"}'
    before = metric(api, name)
    site.proxy.inject(DISCONNECTED)
    unavailable(api.get("/gallery"))
    site.heal(api)
    assert metric(api, name) > before
    entries = [json.loads(line) for line in site.service.log.read_text().splitlines()]
    last = next(entry for entry in reversed(entries) if entry.get("kind") == "store-unavailable")
    assert "Qdrant" in last["message"]
    assert KEY not in site.service.log.read_text()
    of_clients = [e for e in entries if e.get("logger", "").startswith(("httpx", "qdrant_client"))]
    assert [entry for entry in of_clients if entry["level"] not in ("warning", "error")] == []


def test_a_scrape_does_not_wait_for_a_qdrant_that_hangs(tmp_path: Path) -> None:
    """Else Prometheus reports the service as down, and knows no metric that says why."""
    with running_site(tmp_path, timeout_s=5 * SCRAPE_WAIT_S) as site, site.service.client() as api:
        assert ship(9040).enrol(api).status_code == 201
        assert metric(api, "crossfix_gallery_vessels") == 1
        time.sleep(COUNTS_MAX_AGE_S)
        site.proxy.inject(Fault("silent", silent=True))
        for _ in range(3):
            began = time.monotonic()
            assert metric(api, "crossfix_gallery_vessels") == 1
            assert time.monotonic() - began < 2 * SCRAPE_WAIT_S
        site.proxy.heal()


def test_repeated_outages_lose_nothing(site: Site, api: httpx.Client, scale: Scale) -> None:
    """Several clients register and match during the outages."""
    others = visible(api)
    began = time.monotonic()
    acknowledged: dict[str, Ship] = {}
    refused: list[Ship] = []

    def continues() -> bool:
        lasted = time.monotonic() - began
        assert lasted < scale.outage_s + SLOW_MACHINE_S, "nothing was acknowledged, or all was"
        return lasted < scale.outage_s or not (acknowledged and refused)

    def register(writer: int) -> None:
        number = 100_000 * (writer + 1)
        while continues():
            number += 1
            one = ship(number)
            answer = one.enrol(api)
            if answer.status_code == 201:
                acknowledged[one.name] = one
            else:
                unavailable(answer)
                refused.append(one)

    def match() -> None:
        while continues():
            answer = api.post("/match", files={"chip": sar_tiff(6)}, data={"store": "false"})
            if answer.status_code != 200:
                unavailable(answer)

    def disturb() -> None:
        rng = random.Random(0)
        quick = [fault for fault in [*FAULTS, *WRONG_RESPONSES] if not fault.delay_s]
        while continues():
            site.proxy.inject(rng.choice(quick))
            time.sleep(rng.uniform(0.02, 0.2))
            site.proxy.heal()
            time.sleep(rng.uniform(0.05, 0.3))

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        work = [pool.submit(register, writer) for writer in range(WRITERS)]
        work += [pool.submit(match), pool.submit(disturb)]
        for one in work:
            one.result()
    site.heal(api)
    found = visible(api)
    assert found == others | dict.fromkeys(found.keys() - others.keys(), 2)
    assert acknowledged.keys() <= found.keys()
    repeated = random.Random(1).sample(refused, min(len(refused), REPEATED))
    for again in repeated:
        assert again.enrol(api).status_code in (200, 201)
    assert visible(api) == found | {one.name: 2 for one in repeated}
    print(f"\n{len(acknowledged)} ships acknowledged, {len(refused)} refused")
