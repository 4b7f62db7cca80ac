"""Half-sent requests keep no other request out."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from tests.support.stub_service import (
    CURATOR,
    KEYS_REQUIRED,
    READER,
    Headers,
    StubService,
    kind,
    run,
    stub_service,
)


def send_half(
    service: StubService, headers: Headers | None = None
) -> "asyncio.Task[httpx.Response]":
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.sleep(60)

    return asyncio.create_task(service.client.post("/match", content=half(), headers=headers))


async def begun(*tasks: "asyncio.Task[httpx.Response]") -> None:
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in tasks)


def test_half_sent_bodies_hold_no_place() -> None:
    async def test() -> None:
        service = stub_service(max_in_flight=2)
        slow = [send_half(service) for _ in range(2)]
        await begun(*slow)
        assert (await service.client.get("/match")).status_code == 201
        for _ in range(3):
            assert (await service.post()).status_code == 201
        await asyncio.wait(slow[:1], timeout=5)
        answer = slow[0].result()
        assert answer.status_code == 429
        assert kind(answer) == "upload-displaced"
        assert answer.headers["connection"] == "close"
        assert answer.headers["retry-after"] == "1"
        slow[1].cancel()

    run(test)


def test_the_caller_with_the_most_uploads_makes_way() -> None:
    async def test() -> None:
        service = stub_service(base=KEYS_REQUIRED, max_in_flight=3)
        patient = send_half(service, READER)
        await begun(patient)
        greedy = [send_half(service, CURATOR) for _ in range(2)]
        await begun(*greedy)
        assert (await service.post(headers=READER)).status_code == 201
        await asyncio.wait(greedy[:1], timeout=5)
        assert greedy[0].result().status_code == 429
        assert not greedy[1].done()
        assert not patient.done()
        for one in (patient, greedy[1]):
            one.cancel()

    run(test)


def test_a_body_that_arrives_when_all_places_are_taken_is_rejected() -> None:
    async def test() -> None:
        service = stub_service(max_in_flight=2)
        arrived = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await arrived.wait()
            yield b"last"

        late = asyncio.create_task(service.client.post("/match", content=body()))
        await begun(late)
        working = []
        for _ in range(2):
            working.append(asyncio.create_task(service.post("/wait")))
            await begun(late, *working)
        arrived.set()
        answer = await late
        assert answer.status_code == 429
        assert service.routes.bodies == []
        service.routes.gate.set()
        assert [(await one).status_code for one in working] == [200, 200]
        assert (await service.post()).status_code == 201

    run(test)
