"""Qdrant drops, delays and resets connections, or sends wrong responses.

Nothing acknowledged is lost, and no change is visible in part. A real service uses a double of
Qdrant through a proxy with faults.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.chips import optical_png, sar_tiff
from tests.support.doubles.proxy import Fault, FaultyProxy, running_proxy
from tests.support.doubles.qdrant_http import QdrantDouble, RefusedError, running_qdrant
from tests.support.faults.outages import WRONG_RESPONSES, unavailable, wait_until
from tests.support.faults.scale import Scale
from tests.support.service_process import ServiceProcess, running_service

KEY = "a key of the double"
TIMEOUT_S = 1.0
# Changes wait for each other, and each may wait for one time-out of Qdrant.
SLACK_S = 15.0
ALL_REFUSED_S = 6 * TIMEOUT_S + SLACK_S
NOT_READY_S = 3 * TIMEOUT_S + SLACK_S
READY_AGAIN_S = 3 * TIMEOUT_S + SLACK_S
WRITERS = 4
SLOW_MACHINE_S = 60.0

Request = Callable[[httpx.Client], httpx.Response]

DISCONNECTED = Fault("disconnected", refuse=True)
FAULTS = [
    DISCONNECTED,
    Fault("silent", silent=True),
    Fault("late", delay_s=2 * TIMEOUT_S),
    Fault("cut-in-the-head", cut_after=60),
    Fault("cut-in-the-body", cut_after=160),
]


@dataclass(frozen=True)
class Site:
    """A service, its Qdrant, and the proxy between them."""

    service: ServiceProcess
    double: QdrantDouble
    proxy: FaultyProxy

    def heal(self, api: httpx.Client) -> float:
        """End the fault; return the seconds until the service is ready again."""
        self.proxy.heal()
        return wait_until(
            lambda: api.get("/readyz").status_code == 200, READY_AGAIN_S, "becoming ready again"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("qdrant")
    with running_qdrant(KEY) as double, running_proxy(("127.0.0.1", double.port)) as proxy:
        settings = {
            "CROSSFIX_QDRANT_URL": f"http://127.0.0.1:{proxy.port}",
            "CROSSFIX_QDRANT_API_KEY": KEY,
            "CROSSFIX_QDRANT_TIMEOUT_S": str(TIMEOUT_S),
        }
        with running_service(folder, settings=settings) as service:
            yield Site(service, double, proxy)


@pytest.fixture
def api(site: Site) -> Iterator[httpx.Client]:
    with site.service.client() as client:
        yield client
        site.heal(client)


@dataclass
class Ship:
    """A vessel with its own chips."""

    name: str
    seeds: tuple[int, ...]
    id: str | None = field(default=None)

    def enrol(self, api: httpx.Client) -> httpx.Response:
        answer = api.post("/gallery", data={"vessel": json.dumps(self.fields)}, files=self.files)
        if answer.status_code in (200, 201):
            self.id = answer.json()["id"]
        return answer

    @property
    def fields(self) -> dict[str, object]:
        return {"name": self.name, "type": "tanker"}

    @property
    def files(self) -> list[tuple[str, tuple[str, bytes]]]:
        return [("chips", (f"{seed}.png", optical_png(seed))) for seed in self.seeds]


def ship(number: int, chips: int = 2) -> Ship:
    return Ship(f"SHIP {number:06}", tuple(range(number * 10, number * 10 + chips)))


def visible(api: httpx.Client) -> dict[str, int]:
    """Return the names of the listed vessels and the number of sightings of each.

    Assert that each listed vessel can be read, and that a match finds listed vessels only.
    """
    listed: dict[str, int] = {}
    cursor: str | None = None
    while True:
        page = api.get("/gallery", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        for vessel in page.json()["vessels"]:
            shown = api.get(f"/gallery/{vessel['id']}")
            assert shown.status_code == 200, shown.text
            assert vessel["name"] not in listed
            listed[vessel["name"]] = len(shown.json()["sightings"])
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    found = api.post("/match", files={"chip": sar_tiff(1)}, data={"store": "false", "top_k": "100"})
    assert found.status_code == 200, found.text
    matched = {candidate["vessel"]["name"] for candidate in found.json()["candidates"]}
    assert matched <= listed.keys()
    assert found.json()["gallery"] == {"vessels": len(listed), "sightings": sum(listed.values())}
    return listed


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


def test_an_outage_is_logged_and_counted(site: Site, api: httpx.Client) -> None:
    def error_count() -> float:
        lines = api.get("/metrics").text.splitlines()
        name = 'crossfix_errors_total{kind="store-unavailable"} '
        return next((float(one.removeprefix(name)) for one in lines if one.startswith(name)), 0.0)

    before = error_count()
    site.proxy.inject(DISCONNECTED)
    unavailable(api.get("/gallery"))
    site.heal(api)
    assert error_count() > before
    entries = [json.loads(line) for line in site.service.log.read_text().splitlines()]
    last = next(entry for entry in reversed(entries) if entry.get("kind") == "store-unavailable")
    assert "Qdrant" in last["message"]
    assert KEY not in site.service.log.read_text()


class Breakdown:
    """An outage at the n-th request to Qdrant, before it is executed or before its response."""

    def __init__(self, site: Site, at: int, executed: bool) -> None:
        self._site = site
        self._remaining = at
        self._executed = executed
        self.happened = False

    def __call__(self, request: str) -> None:
        """Count a request; reading aliases is not part of a change."""
        if request == "GET aliases" or self.happened:
            return
        self._remaining -= 1
        if self._remaining > 0:
            return
        self.happened = True
        self._site.proxy.inject(DISCONNECTED)
        if not self._executed:
            raise RefusedError(500, "outage")


def break_at_each_step(
    site: Site,
    api: httpx.Client,
    executed: bool,
    scale: Scale,
    request: Request,
    check: Callable[[], None],
    prepare: Callable[[], object] = lambda: None,
) -> int:
    """Repeat a change with an outage one step later each time, until it ends before the outage.

    Args:
        site: the service.
        api: a client of it.
        executed: whether Qdrant executes the request at which it fails, and only its response is
            lost.
        scale: decides which steps are tried.
        request: the change. At its end it releases its claims; an outage there is not reported.
        check: called after each outage, when the service is ready again.
        prepare: called before each try.

    Returns:
        the least number of steps of the change.
    """
    unreported = 0
    for step in range(1, 100, scale.breakdown_stride):
        prepare()
        breakdown = Breakdown(site, step, executed)
        site.double.before = breakdown
        answer = request(api)
        site.double.before = lambda _: None
        if not breakdown.happened:
            assert answer.is_success, answer.text
            return step - scale.breakdown_stride
        unreported += answer.is_success
        assert unreported <= 2, "only a completed change may be acknowledged"
        if not answer.is_success:
            unavailable(answer)
        site.heal(api)
        check()
    raise AssertionError("the change has no end")


BREAKDOWNS = pytest.mark.parametrize(
    "executed", [False, True], ids=["not-executed", "response-lost"]
)


@BREAKDOWNS
def test_registering_is_complete_or_absent_and_may_be_repeated(
    site: Site, api: httpx.Client, scale: Scale, executed: bool
) -> None:
    one = ship(8000 + executed)
    others = visible(api)

    def complete_or_absent() -> None:
        assert visible(api) in (others, others | {one.name: 2})
        assert one.enrol(api).status_code in (200, 201)
        assert visible(api) == others | {one.name: 2}
        assert api.delete(f"/gallery/{one.id}").status_code == 204

    steps = break_at_each_step(site, api, executed, scale, one.enrol, complete_or_absent)
    assert steps >= 5
    assert visible(api) == others | {one.name: 2}


@BREAKDOWNS
def test_adding_chips_is_all_or_none(
    site: Site, api: httpx.Client, scale: Scale, executed: bool
) -> None:
    one = ship(8020 + executed)
    one.enrol(api)
    others = visible(api)
    extra = [("chips", (f"{seed}.png", optical_png(seed))) for seed in (90_001, 90_002, 90_003)]

    def all_or_none() -> None:
        assert visible(api) in (others, others | {one.name: 5})

    def add(client: httpx.Client) -> httpx.Response:
        return client.post(f"/gallery/{one.id}/chips", files=extra)

    assert break_at_each_step(site, api, executed, scale, add, all_or_none) >= 3
    assert visible(api) == others | {one.name: 5}


@BREAKDOWNS
def test_a_correction_is_done_or_not_done(
    site: Site, api: httpx.Client, scale: Scale, executed: bool
) -> None:
    one = ship(8030 + executed)
    one.enrol(api)
    others = visible(api)
    want = {"type": f"bulk carrier {executed}", "length_m": 123.0}

    def made_or_not() -> None:
        assert visible(api) == others
        now = api.get(f"/gallery/{one.id}").json()
        assert (now["type"], now["length_m"]) in (("tanker", None), tuple(want.values()))

    def correct(client: httpx.Client) -> httpx.Response:
        return client.patch(f"/gallery/{one.id}", json=want)

    assert break_at_each_step(site, api, executed, scale, correct, made_or_not) >= 3
    asked = {"vessel_type": want["type"], "store": "false"}
    found = api.post("/match", files={"chip": sar_tiff(4)}, data=asked).json()["candidates"]
    assert [candidate["vessel"]["id"] for candidate in found] == [one.id]


@BREAKDOWNS
def test_a_judgement_is_done_or_not_done_and_may_be_repeated(
    site: Site, api: httpx.Client, scale: Scale, executed: bool
) -> None:
    one = ship(8080 + executed)
    one.enrol(api)
    asked = api.post("/match", files={"chip": sar_tiff(8080 + executed)}).json()
    match = f"/matches/{asked['match_id']}"
    confirmed = {"decision": "confirmed", "vessel_id": one.id}

    def judge(client: httpx.Client) -> httpx.Response:
        return client.post(f"{match}/verdict", json=confirmed)

    def made_or_not_and_repeated() -> None:
        assert judge(api).json()["sighting"]["vessel_id"] == one.id
        undone = api.post(f"{match}/verdict", json={"decision": "withdrawn"})
        assert undone.json()["sighting"]["vessel_id"] is None

    assert break_at_each_step(site, api, executed, scale, judge, made_or_not_and_repeated) >= 5
    record = api.get(match).json()
    assert record["sighting"]["vessel_id"] == one.id
    decisions = [judgement["decision"] for judgement in record["judgements"]]
    assert decisions[-1] == "confirmed"
    assert decisions.count("confirmed") > decisions.count("withdrawn")


@BREAKDOWNS
def test_a_deletion_is_done_or_not_done(
    site: Site, api: httpx.Client, scale: Scale, executed: bool
) -> None:
    one = ship(8040 + executed, chips=1)
    others = visible(api)

    def done_or_not_done() -> None:
        assert visible(api) in (others, others | {one.name: 1})

    def enrolled() -> None:
        assert one.enrol(api).status_code in (200, 201)

    def remove(client: httpx.Client) -> httpx.Response:
        return client.delete(f"/gallery/{one.id}")

    assert break_at_each_step(site, api, executed, scale, remove, done_or_not_done, enrolled) >= 3
    assert visible(api) == others


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
    for again in refused:
        assert again.enrol(api).status_code in (200, 201)
    all_names = acknowledged.keys() | {one.name for one in refused}
    assert visible(api) == others | dict.fromkeys(all_names, 2)
    print(f"\n{len(acknowledged)} ships acknowledged, {len(refused)} refused and repeated")
