"""Repeated requests with an idempotency key, through all layers."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from service.api.middleware import idempotency
from service.api.middleware.idempotency import Idempotency
from service.observability.metrics import Telemetry
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from tests.support.stub_service import (
    CURATOR,
    KEY_K,
    KEYS_REQUIRED,
    READER,
    URL,
    Routes,
    kind,
    run,
    stub_service,
)


class TestIdempotency:
    def test_a_repeated_request_gets_the_stored_response(self) -> None:
        async def test() -> None:
            service = stub_service()
            first = await service.post(headers=KEY_K)
            again = await service.post(headers=KEY_K)
            assert (first.status_code, again.status_code) == (201, 201)
            assert first.content == again.content
            assert again.headers["location"] == "/made"
            assert again.headers["idempotency-replayed"] == "true"
            assert "idempotency-replayed" not in first.headers
            assert first.headers["x-request-id"] != again.headers["x-request-id"]
            assert service.routes.bodies == [b"x"]
            await service.post(headers={"Idempotency-Key": "another"})
            await service.post()
            assert len(service.routes.bodies) == 3

        run(test)

    def test_a_key_beside_another_is_not_the_key_alone(self) -> None:
        async def test() -> None:
            service = stub_service()
            (name, value), *_ = KEY_K.items()
            await service.post(headers=KEY_K)
            both = [(name, value), (name, "another")]
            answer = await service.client.post("/match", content=b"x", headers=both)
            assert "idempotency-replayed" not in answer.headers
            assert len(service.routes.bodies) == 2

        run(test)

    def test_route_gets_the_body_as_it_was_sent(self) -> None:
        async def test() -> None:
            for size in (0, 1, 65_536, 65_537, 200_000):
                service = stub_service(max_body_bytes=10**7)
                body = bytes(i % 251 for i in range(size))
                assert (await service.post(content=body, headers=KEY_K)).status_code == 201
                assert service.routes.bodies == [body]

        run(test)

    def test_another_request_with_the_same_key_is_422(self) -> None:
        async def test() -> None:
            service = stub_service()
            await service.post(headers=KEY_K)
            for path, content in (("/match", b"y"), ("/verify", b"x")):
                other = await service.post(path, content, headers=KEY_K)
                assert (other.status_code, kind(other)) == (422, "idempotency-key-reused")
            assert len(service.routes.bodies) == 1

        run(test)

    def test_repeating_a_request_in_progress_is_409(self) -> None:
        async def test() -> None:
            service = stub_service()
            first = asyncio.create_task(service.post("/wait", headers=KEY_K))
            await asyncio.sleep(0.1)
            second = await service.post("/wait", headers=KEY_K)
            assert (second.status_code, kind(second)) == (409, "idempotency-in-progress")
            assert second.headers["retry-after"] == "1"
            service.routes.gate.set()
            assert (await first).json() == {"done": True}
            assert (await service.post("/wait", headers=KEY_K)).json() == {"done": True}

        run(test)

    def test_claim_is_renewed_while_its_request_is_in_progress(self) -> None:
        async def test() -> None:
            routes, store = Routes(), MemoryIdempotencyStore(Lifetimes(claim_s=0.4, response_s=100))
            app = Starlette(routes=[Route("/wait", routes.wait, methods=["POST"])])
            idempotency = Idempotency(app, store, Telemetry(), renew_every_s=0.05)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(idempotency), base_url=URL)
            first = asyncio.create_task(client.post("/wait", headers=KEY_K))
            await asyncio.sleep(1.0)
            assert (await client.post("/wait", headers=KEY_K)).status_code == 409
            routes.gate.set()
            assert (await first).json() == {"done": True}

        run(test)

    def test_response_after_a_timeout_is_stored_for_a_repeated_request(self) -> None:
        async def test() -> None:
            service = stub_service(request_timeout_s=0.2)
            assert (await service.post("/wait", headers=KEY_K)).status_code == 503
            service.routes.gate.set()
            while (again := await service.post("/wait", headers=KEY_K)).status_code == 409:
                await asyncio.sleep(0.01)
            assert again.headers["idempotency-replayed"] == "true"

        run(test)

    def test_a_failed_request_may_be_repeated_with_its_key(self) -> None:
        async def test() -> None:
            service = stub_service()
            statuses = [(await service.post("/fail", headers=KEY_K)).status_code]
            statuses.append((await service.post("/fail", b"corrected", headers=KEY_K)).status_code)
            assert statuses == [503, 200]

        run(test)

    def test_a_request_with_a_too_large_response_is_not_done_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(idempotency, "MAX_RESPONSE_BYTES", 5)

        async def test() -> None:
            service = stub_service()
            assert (await service.post(headers=KEY_K)).json() == {"number": 1}
            again = await service.post(headers=KEY_K)
            assert (again.status_code, kind(again)) == (409, "idempotency-answer-too-large")
            assert len(service.routes.bodies) == 1

        run(test)

    def test_each_caller_has_idempotency_keys_of_its_own(self) -> None:
        async def test() -> None:
            service = stub_service(base=KEYS_REQUIRED)
            for headers in (READER, CURATOR):
                await service.post(headers={"Idempotency-Key": "k", **headers})
            assert service.routes.callers == ["reader", "curator"]

        run(test)

    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\tbed"])
    def test_a_malformed_idempotency_key_is_rejected(self, key: str) -> None:
        async def test() -> None:
            service = stub_service()
            assert kind(await service.post(headers={"Idempotency-Key": key})) == "invalid-request"
            assert service.routes.bodies == []

        run(test)

    def test_a_too_large_body_is_rejected_and_its_key_stays_free(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 500

        async def test() -> None:
            service = stub_service()
            response = await service.client.post("/match", content=chunks(), headers=KEY_K)
            assert (response.status_code, kind(response)) == (413, "body-too-large")
            assert (await service.post(headers=KEY_K)).status_code == 201

        run(test)
