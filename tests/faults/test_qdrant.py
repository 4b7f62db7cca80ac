"""Qdrant drops, delays, resets, lies: nothing acknowledged is lost, nothing is half visible.

A real service asks a double of Qdrant through a proxy that maltreats the connection.
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
from tests.support.faults.outages import LIES, unavailable, wait_until
from tests.support.faults.scale import Scale
from tests.support.service_process import ServiceProcess, running_service

KEY = "a key of the double"
TIMEOUT_S = 1.0
# Changes wait for each other, and each one may wait for Qdrant once.
SLACK_S = 15.0
PATIENCE_S = 6 * TIMEOUT_S + SLACK_S
RED_S = 3 * TIMEOUT_S + SLACK_S
GREEN_AGAIN_S = 3 * TIMEOUT_S + SLACK_S
WRITERS = 4
SLOW_MACHINE_S = 60.0

Ask = Callable[[httpx.Client], httpx.Response]

GONE = Fault("gone", refuse=True)
FAULTS = [
    GONE,
    Fault("silent", silent=True),
    Fault("late", delay_s=2 * TIMEOUT_S),
    Fault("cut-in-the-head", cut_after=60),
    Fault("cut-in-the-body", cut_after=160),
]


@dataclass(frozen=True)
class Site:
    """A service, its Qdrant, and what lies between."""

    service: ServiceProcess
    double: QdrantDouble
    proxy: FaultyProxy

    def heal(self, api: httpx.Client) -> float:
        """End the fault; seconds until the service is ready again."""
        self.proxy.heal()
        return wait_until(
            lambda: api.get("/readyz").status_code == 200, GREEN_AGAIN_S, "turning green again"
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
    """A vessel that is registered with chips of its own."""

    name: str
    seeds: tuple[int, ...]
    id: str | None = field(default=None)

    def enrol(self, api: httpx.Client) -> httpx.Response:
        answer = api.post("/gallery", data={"vessel": json.dumps(self.said)}, files=self.files)
        if answer.status_code in (200, 201):
            self.id = answer.json()["id"]
        return answer

    @property
    def said(self) -> dict[str, object]:
        return {"name": self.name, "type": "tanker"}

    @property
    def files(self) -> list[tuple[str, tuple[str, bytes]]]:
        return [("chips", (f"{seed}.png", optical_png(seed))) for seed in self.seeds]


def ship(number: int, chips: int = 2) -> Ship:
    return Ship(f"SHIP {number:06}", tuple(range(number * 10, number * 10 + chips)))


def visible(api: httpx.Client) -> dict[str, int]:
    """Names of the registered vessels and how many sightings each shows.

    Fails where a listed vessel cannot be shown, and where one is found by a match but not listed.
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


def asks(known: Ship, new: Ship) -> list[Ask]:
    """Every kind of request that needs Qdrant."""
    at = f"/gallery/{known.id}"
    chip = {"chip": sar_tiff(3)}
    return [
        lambda api: api.get("/gallery"),
        lambda api: api.get(at),
        lambda api: api.post("/match", files=chip, data={"store": "false"}),
        lambda api: api.post("/match", files=chip),
        new.enrol,
        lambda api: api.post(f"{at}/chips", files={"chips": optical_png(77)}),
        lambda api: api.patch(at, json={"type": "bulk carrier"}),
        lambda api: api.delete(at),
    ]


def all_are_refused(api: httpx.Client, every: list[Ask]) -> None:
    """Each is 503, all of them soon, although they come at once."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(every)) as pool:
        for answer in pool.map(lambda ask: ask(api), every):
            unavailable(answer)
    assert time.monotonic() - began < PATIENCE_S


def turns_red(api: httpx.Client) -> None:
    """`/readyz` names the gallery alone, and what needs no Qdrant goes on."""
    wait_until(lambda: api.get("/readyz").status_code == 503, RED_S, "turning red")
    parts = api.get("/readyz").json()["parts"]
    assert [name for name, problem in parts.items() if problem] == ["gallery"]
    assert api.get("/livez").status_code == 200
    assert api.get("/metrics").status_code == 200


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_an_outage_is_503_and_over_when_it_is_over(
    site: Site, api: httpx.Client, fault: Fault
) -> None:
    known, new = ship(9000), ship(9001)
    assert known.enrol(api).status_code in (200, 201)
    before = visible(api)
    site.proxy.suffer(fault)
    all_are_refused(api, asks(known, new))
    turns_red(api)
    site.heal(api)
    assert visible(api) == before
    assert new.enrol(api).status_code == 201
    assert visible(api) == before | {new.name: 2}
    assert api.delete(f"/gallery/{new.id}").status_code == 204


def test_whatever_else_answers_in_its_place_is_not_believed(site: Site, api: httpx.Client) -> None:
    known, new = ship(9010), ship(9011)
    assert known.enrol(api).status_code == 201
    before = visible(api)
    for lie in LIES:
        site.proxy.suffer(lie)
        all_are_refused(api, asks(known, new))
    turns_red(api)
    site.heal(api)
    assert visible(api) == before


def test_the_log_and_the_metrics_tell_of_it(site: Site, api: httpx.Client) -> None:
    def counted() -> float:
        lines = api.get("/metrics").text.splitlines()
        name = 'crossfix_errors_total{kind="store-unavailable"} '
        return next((float(one.removeprefix(name)) for one in lines if one.startswith(name)), 0.0)

    before = counted()
    site.proxy.suffer(GONE)
    unavailable(api.get("/gallery"))
    site.heal(api)
    assert counted() > before
    said = [json.loads(line) for line in site.service.log.read_text().splitlines()]
    last = next(line for line in reversed(said) if line.get("kind") == "store-unavailable")
    assert "Qdrant" in last["message"]
    assert KEY not in site.service.log.read_text()


class Breakdown:
    """Qdrant breaks down at its n-th request from now, before doing it or before saying so."""

    def __init__(self, site: Site, at: int, done: bool) -> None:
        self._site = site
        self._left = at
        self._done = done
        self.happened = False

    def __call__(self, asked: str) -> None:
        """For `QdrantDouble.before`; what asks for aliases is no part of a change."""
        if asked == "GET aliases" or self.happened:
            return
        self._left -= 1
        if self._left > 0:
            return
        self.happened = True
        self._site.proxy.suffer(GONE)
        if not self._done:
            raise RefusedError(500, "broken down")


def break_at_each_step(
    site: Site,
    api: httpx.Client,
    done: bool,
    scale: Scale,
    ask: Ask,
    check: Callable[[], None],
    prepare: Callable[[], object] = lambda: None,
) -> int:
    """Ask again and again, with a breakdown one step later each time, until it comes too late.

    Args:
        site: where.
        api: who asks.
        done: whether the step at which Qdrant breaks down is done, and only its answer lost.
        scale: how many steps are passed over.
        ask: the change; giving up what was claimed for it, at its end, may fail unseen.
        check: called after each breakdown, when all is well again.
        prepare: called before each time.

    Returns:
        how many steps the change has, at least.
    """
    unseen = 0
    for step in range(1, 100, scale.breakdown_stride):
        prepare()
        breakdown = Breakdown(site, step, done)
        site.double.before = breakdown
        answer = ask(api)
        site.double.before = lambda asked: None
        if not breakdown.happened:
            assert answer.is_success, answer.text
            return step - scale.breakdown_stride
        unseen += answer.is_success
        assert unseen <= 2, "only what is done may be answered with success"
        if not answer.is_success:
            unavailable(answer)
        site.heal(api)
        check()
    raise AssertionError("the change has no end")


BREAKDOWNS = pytest.mark.parametrize("done", [False, True], ids=["undone", "done-but-unsaid"])


@BREAKDOWNS
def test_registering_is_whole_or_not_there_and_may_be_repeated(
    site: Site, api: httpx.Client, scale: Scale, done: bool
) -> None:
    one = ship(8000 + done)
    others = visible(api)

    def whole_or_not_there() -> None:
        assert visible(api) in (others, others | {one.name: 2})
        assert one.enrol(api).status_code in (200, 201)
        assert visible(api) == others | {one.name: 2}
        assert api.delete(f"/gallery/{one.id}").status_code == 204

    steps = break_at_each_step(site, api, done, scale, one.enrol, whole_or_not_there)
    assert steps >= 5
    assert visible(api) == others | {one.name: 2}


@BREAKDOWNS
def test_adding_chips_is_all_or_none(
    site: Site, api: httpx.Client, scale: Scale, done: bool
) -> None:
    one = ship(8020 + done)
    one.enrol(api)
    others = visible(api)
    extra = [("chips", (f"{seed}.png", optical_png(seed))) for seed in (90_001, 90_002, 90_003)]

    def all_or_none() -> None:
        assert visible(api) in (others, others | {one.name: 5})

    def add(client: httpx.Client) -> httpx.Response:
        return client.post(f"/gallery/{one.id}/chips", files=extra)

    assert break_at_each_step(site, api, done, scale, add, all_or_none) >= 3
    assert visible(api) == others | {one.name: 5}


@BREAKDOWNS
def test_a_correction_is_made_or_not(
    site: Site, api: httpx.Client, scale: Scale, done: bool
) -> None:
    one = ship(8030 + done)
    one.enrol(api)
    others = visible(api)
    want = {"type": f"bulk carrier {done}", "length_m": 123.0}

    def made_or_not() -> None:
        assert visible(api) == others
        now = api.get(f"/gallery/{one.id}").json()
        assert (now["type"], now["length_m"]) in (("tanker", None), tuple(want.values()))

    def correct(client: httpx.Client) -> httpx.Response:
        return client.patch(f"/gallery/{one.id}", json=want)

    assert break_at_each_step(site, api, done, scale, correct, made_or_not) >= 3
    asked = {"vessel_type": want["type"], "store": "false"}
    found = api.post("/match", files={"chip": sar_tiff(4)}, data=asked).json()["candidates"]
    assert [candidate["vessel"]["id"] for candidate in found] == [one.id]


@BREAKDOWNS
def test_a_judgement_is_made_or_not_and_may_be_repeated(
    site: Site, api: httpx.Client, scale: Scale, done: bool
) -> None:
    one = ship(8080 + done)
    one.enrol(api)
    asked = api.post("/match", files={"chip": sar_tiff(8080 + done)}).json()
    match = f"/matches/{asked['match_id']}"
    confirmed = {"decision": "confirmed", "vessel_id": one.id}

    def judge(client: httpx.Client) -> httpx.Response:
        return client.post(f"{match}/verdict", json=confirmed)

    def made_or_not_and_repeated() -> None:
        assert judge(api).json()["sighting"]["vessel_id"] == one.id
        undone = api.post(f"{match}/verdict", json={"decision": "withdrawn"})
        assert undone.json()["sighting"]["vessel_id"] is None

    assert break_at_each_step(site, api, done, scale, judge, made_or_not_and_repeated) >= 5
    kept = api.get(match).json()
    assert kept["sighting"]["vessel_id"] == one.id
    told = [judgement["decision"] for judgement in kept["judgements"]]
    assert told[-1] == "confirmed"
    assert told.count("confirmed") > told.count("withdrawn")


@BREAKDOWNS
def test_what_is_removed_is_there_or_gone(
    site: Site, api: httpx.Client, scale: Scale, done: bool
) -> None:
    one = ship(8040 + done, chips=1)
    others = visible(api)

    def there_or_gone() -> None:
        assert visible(api) in (others, others | {one.name: 1})

    def enrolled() -> None:
        assert one.enrol(api).status_code in (200, 201)

    def remove(client: httpx.Client) -> httpx.Response:
        return client.delete(f"/gallery/{one.id}")

    assert break_at_each_step(site, api, done, scale, remove, there_or_gone, enrolled) >= 3
    assert visible(api) == others


def test_a_store_that_comes_and_goes_loses_nothing(
    site: Site, api: httpx.Client, scale: Scale
) -> None:
    """Several clients register and match meanwhile; what was acknowledged is there, and whole."""
    others = visible(api)
    began = time.monotonic()
    acknowledged: dict[str, Ship] = {}
    refused: list[Ship] = []

    def going_on() -> bool:
        lasted = time.monotonic() - began
        assert lasted < scale.outage_s + SLOW_MACHINE_S, "nothing was acknowledged, or all was"
        return lasted < scale.outage_s or not (acknowledged and refused)

    def register(writer: int) -> None:
        number = 100_000 * (writer + 1)
        while going_on():
            number += 1
            one = ship(number)
            answer = one.enrol(api)
            if answer.status_code == 201:
                acknowledged[one.name] = one
            else:
                unavailable(answer)
                refused.append(one)

    def look() -> None:
        while going_on():
            answer = api.post("/match", files={"chip": sar_tiff(6)}, data={"store": "false"})
            if answer.status_code != 200:
                unavailable(answer)

    def disturb() -> None:
        rng = random.Random(0)
        quick = [fault for fault in [*FAULTS, *LIES] if not fault.delay_s]
        while going_on():
            site.proxy.suffer(rng.choice(quick))
            time.sleep(rng.uniform(0.02, 0.2))
            site.proxy.heal()
            time.sleep(rng.uniform(0.05, 0.3))

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        work = [pool.submit(register, writer) for writer in range(WRITERS)]
        work += [pool.submit(look), pool.submit(disturb)]
        for one in work:
            one.result()
    site.heal(api)
    there = visible(api)
    assert there == others | dict.fromkeys(there.keys() - others.keys(), 2)
    assert acknowledged.keys() <= there.keys()
    for again in refused:
        assert again.enrol(api).status_code in (200, 201)
    everyone = acknowledged.keys() | {one.name for one in refused}
    assert visible(api) == others | dict.fromkeys(everyone, 2)
    print(f"\n{len(acknowledged)} ships acknowledged, {len(refused)} refused and repeated")
