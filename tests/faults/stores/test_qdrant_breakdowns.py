"""An outage of Qdrant at each step of a change leaves the change done or not done."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.doubles.qdrant_http import RefusedError
from tests.support.faults.outages import unavailable
from tests.support.faults.qdrant_site import (
    DISCONNECTED,
    Request,
    Site,
    running_site,
    ship,
    visible,
)
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import optical_png, sar_tiff


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("qdrant")) as site:
        yield site


@pytest.fixture
def api(site: Site) -> Iterator[httpx.Client]:
    with site.service.client() as client:
        yield client
        site.heal(client)


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
