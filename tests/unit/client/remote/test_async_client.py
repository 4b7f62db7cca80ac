import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.client.errors import RefusedError, UnreachableError
from service.client.remote.async_client import AsyncClient
from service.client.remote.call import ChipPart
from service.client.remote.client import Client
from service.client.remote.enrolling import ChipToEnrol
from tests.support.answers import body, vessel_body
from tests.support.fakes.service import FakeService, multipart, problem
from tests.support.transports import BUNDLE, Handler, record_body, respond

SYNC_ONLY = {"save", "stopping"}


def client(handler: Handler) -> AsyncClient:
    return AsyncClient(transport=httpx.MockTransport(handler))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 25))


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    assert public(Client) - SYNC_ONLY == public(AsyncClient)
    for name in public(AsyncClient):
        first, second = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.getdoc(second), name
        sent = [list(inspect.signature(one).parameters) for one in (first, second)]
        assert sent[0] == sent[1], name


def test_requests_are_repeated_and_read() -> None:
    async def test() -> None:
        later = problem(429, "overloaded", "later", **{"Retry-After": "0"})
        handler, requests = respond(later, httpx.Response(200, json=BUNDLE))
        async with client(handler) as crossfix:
            assert (await crossfix.bundle()).device == "cpu"
        assert len(requests) == 2

    run(test())


def test_lists_are_read_page_by_page() -> None:
    async def test() -> None:
        handler, requests = respond(
            httpx.Response(200, json={"vessels": [vessel_body("a")], "next_cursor": "xyz"}),
            httpx.Response(200, json={"vessels": [vessel_body("b")], "next_cursor": None}),
        )
        async with client(handler) as crossfix:
            found = [one.label async for one in crossfix.vessels()]
        assert found == ["SHIP a", "SHIP b"]
        assert requests[1].url.params["cursor"] == "xyz"

    run(test())


def test_a_judgement_carries_an_idempotency_key() -> None:
    async def test() -> None:
        handler, requests = respond(
            httpx.ReadError("reset"), httpx.Response(200, json=record_body())
        )
        async with client(handler) as crossfix:
            await crossfix.judge(UUID(int=1), "rejected")
        assert len({request.headers["idempotency-key"] for request in requests}) == 1

    run(test())


def test_many_chips_are_matched_in_their_order() -> None:
    running, most = 0, 0

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await request.aread()
        [(_, name, _)] = multipart(request)
        await asyncio.sleep(0.02)
        running -= 1
        if name == "1":
            return problem(422, "chip-size", "too small")
        return httpx.Response(200, json=body("ambiguous", str(name)))

    async def test() -> None:
        advances: list[int] = []
        chips = [ChipPart(str(number), b"x") for number in range(6)]
        async with AsyncClient(transport=httpx.MockTransport(handler)) as crossfix:
            found = [
                one async for one in crossfix.match_many(chips, workers=2, advance=advances.append)
            ]
        labels = [one.match and one.match.candidates[0].vessel.label for one in found]
        assert labels == ["SHIP 0", None, "SHIP 2", "SHIP 3", "SHIP 4", "SHIP 5"]
        assert isinstance(found[1].problem, RefusedError)
        assert advances == [1] * 6
        assert most == 2

    run(test())


def test_many_chips_are_enrolled_and_sent_again_where_needed() -> None:
    service = FakeService(bad={b"bad"}, too_large={b"large"}, breaks_off_after=1, busy=1)

    async def test() -> list[str]:
        async with AsyncClient(transport=service.transport()) as crossfix:
            contents = [b"1", b"2", b"bad", b"4", b"5", b"6", b"large"]
            chips = [
                ChipToEnrol(ChipPart(f"{number}.tif", content), {"id": str(UUID(int=number // 4))})
                for number, content in enumerate(contents)
            ]
            found = [one async for one in crossfix.enrol_many(chips)]
        assert {one.chip.name for one in found} == {one.name for one in chips}
        return [one.problem.kind if one.problem else "" for one in found]

    outcomes = asyncio.run(asyncio.wait_for(test(), 25))
    assert sorted(outcomes) == ["", "", "", "", "", "body-too-large", "chip-corrupt"]
    stored = {number: set(names) for number, names in service.chips.items()}
    assert stored == {
        str(UUID(int=0)): {"0.tif", "1.tif", "3.tif"},
        str(UUID(int=1)): {"4.tif", "5.tif"},
    }


def test_an_unreachable_service_is_reported() -> None:
    async def test() -> None:
        handler, _ = respond(*(httpx.ConnectError("refused") for _ in range(6)))
        async with client(handler) as crossfix:
            with pytest.raises(UnreachableError, match="crossfix serve"):
                await crossfix.require_alive()
            assert not await crossfix.is_ready()
            with pytest.raises(UnreachableError):
                await crossfix.bundle()

    run(test())
