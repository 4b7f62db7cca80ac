"""Keys, limits and headers through all layers of the middleware."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message, Scope

from service.access.roles import Role
from service.api.middleware.allowed_origins import AllowedOrigins
from service.storage.local.rate_limits import MemoryRateLimiter, Rate
from tests.support.stub_service import (
    CURATOR,
    KEY_K,
    KEYS,
    KEYS_REQUIRED,
    READER,
    URL,
    kind,
    run,
    stub_service,
)


class TestKeys:
    @pytest.mark.parametrize(
        ("method", "path", "least"),
        [
            ("GET", "/gallery", Role.READER),
            ("POST", "/match", Role.READER),
            ("POST", "/verify", Role.READER),
            ("POST", "/gallery", Role.CURATOR),
            ("PATCH", "/gallery", Role.CURATOR),
            ("DELETE", "/gallery", Role.CURATOR),
            ("POST", "/match/", Role.CURATOR),
            ("PUT", "/no/such/route", Role.CURATOR),
        ],
    )
    def test_each_request_requires_its_role(self, method: str, path: str, least: Role) -> None:
        async def test() -> None:
            service = stub_service(base=KEYS_REQUIRED)
            for role in Role:
                response = await service.client.request(method, path, headers=KEYS[role])
                if role.covers(least):
                    assert response.status_code not in (401, 403)
                else:
                    assert (response.status_code, kind(response)) == (403, "forbidden")
            response = await service.client.request(method, path)
            assert (response.status_code, kind(response)) == (401, "unauthenticated")
            assert response.headers["www-authenticate"] == 'Bearer realm="crossfix"'

        run(test)

    def test_key_is_accepted_in_either_header_and_identifies_the_caller(self) -> None:
        async def test() -> None:
            service = stub_service(base=KEYS_REQUIRED)
            key = READER["Authorization"].removeprefix("Bearer ")
            assert (await service.post(headers={"X-API-Key": key})).status_code == 201
            assert (
                await service.post(headers={"Authorization": f"bearer {key}"})
            ).status_code == 201
            assert service.routes.callers == ["reader", "reader"]
            for wrong in (f"Basic {key}", key, "Bearer", "Bearer nonsense"):
                assert (await service.post(headers={"Authorization": wrong})).status_code == 401

        run(test)

    def test_probes_need_no_key_and_metrics_only_if_configured(self) -> None:
        async def test() -> None:
            for metrics_open, status in ((False, 401), (True, 200)):
                service = stub_service(base=KEYS_REQUIRED, metrics_open=metrics_open)
                assert (await service.client.get("/livez")).status_code == 200
                assert (await service.client.get("/readyz")).status_code == 200
                assert (await service.client.get("/metrics")).status_code == status
                assert (await service.client.get("/livez/")).status_code == 401
                assert (await service.client.get("/page")).status_code == 401

        run(test)

    def test_body_of_an_unauthenticated_request_is_not_read(self) -> None:
        async def test() -> None:
            sent: list[Message] = []

            async def receive() -> Message:
                raise AssertionError("the body was read")

            async def send(message: Message) -> None:
                sent.append(message)

            scope: Scope = {
                "type": "http",
                "method": "POST",
                "path": "/match",
                "headers": [],
                "query_string": b"",
                "scheme": "http",
                "server": ("127.0.0.1", 8080),
            }
            await stub_service(base=KEYS_REQUIRED).app(scope, receive, send)
            assert sent[0]["status"] == 401

        run(test)

    def test_foreign_pages_are_rejected_while_no_key_is_required(self) -> None:
        async def test() -> None:
            service = stub_service()
            assert (await service.post()).status_code == 201
            response = await service.post(headers={"Origin": "https://evil.example"})
            assert (response.status_code, kind(response)) == (403, "forbidden")
            assert (await service.post(headers={"Host": "evil.example"})).status_code == 403

        run(test)


class TestLimits:
    def test_each_key_has_a_rate_limit_and_probes_have_none(self) -> None:
        async def test() -> None:
            service = stub_service(
                base=KEYS_REQUIRED, rate_limiter=MemoryRateLimiter(Rate(2, burst=2))
            )
            for _ in range(2):
                assert (await service.client.get("/page", headers=READER)).status_code == 200
            rejected = await service.client.get("/page", headers=READER)
            assert (rejected.status_code, kind(rejected)) == (429, "rate-limited")
            assert 20 < int(rejected.headers["retry-after"]) <= 30
            assert (await service.client.get("/page", headers=CURATOR)).status_code == 200
            for _ in range(5):
                assert (await service.client.get("/readyz")).status_code == 200

        run(test)

    @pytest.mark.parametrize(("by_address", "status"), [(True, 429), (False, 200)])
    def test_without_keys_requests_are_limited_by_address_if_configured(
        self, by_address: bool, status: int
    ) -> None:
        async def test() -> None:
            limiter = MemoryRateLimiter(Rate(1, burst=1))
            service = stub_service(rate_limiter=limiter, limit_by_address=by_address)
            assert (await service.client.get("/page")).status_code == 200
            assert (await service.client.get("/page")).status_code == status

        run(test)

    def test_requests_beyond_the_in_flight_limit_are_429_but_probes_pass(self) -> None:
        async def test() -> None:
            service = stub_service(max_in_flight=2)
            waiting = [asyncio.create_task(service.client.get("/wait")) for _ in range(2)]
            await asyncio.sleep(0.1)
            rejected = await service.post()
            assert (rejected.status_code, kind(rejected)) == (429, "overloaded")
            assert rejected.headers["retry-after"] == "1"
            assert (await service.client.get("/livez")).status_code == 200
            service.routes.gate.set()
            assert [(await one).status_code for one in waiting] == [200, 200]
            assert (await service.post()).status_code == 201

        run(test)

    def test_late_requests_are_503_and_count_as_in_flight_until_they_end(self) -> None:
        async def test() -> None:
            service = stub_service(request_timeout_s=0.2, max_in_flight=1)
            late = await service.client.get("/wait")
            assert (late.status_code, kind(late)) == (503, "took-too-long")
            assert late.headers["retry-after"]
            assert (await service.post()).status_code == 429
            service.routes.gate.set()
            while not service.routes.finished.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert (await service.post()).status_code == 201

        run(test)

    def test_a_body_that_does_not_arrive_is_408(self) -> None:
        async def slow() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(20)
            yield b"y"

        async def test() -> None:
            service = stub_service(upload_timeout_s=0.2)
            started = time.monotonic()
            for headers in (None, KEY_K):
                response = await service.client.post("/match", content=slow(), headers=headers)
                assert (response.status_code, kind(response)) == (408, "upload-too-slow")
                assert response.headers["connection"] == "close"
            assert time.monotonic() - started < 10
            assert service.routes.bodies == []

        run(test)

    def test_upload_timeout_does_not_limit_the_response(self) -> None:
        async def test() -> None:
            service = stub_service(upload_timeout_s=0.1)
            threading.Timer(0.3, service.routes.gate.set).start()
            assert (await service.client.post("/wait", content=b"x")).status_code == 200

        run(test)


class TestHeaders:
    def test_security_headers_are_set(self) -> None:
        async def test() -> None:
            service = stub_service()
            data, page = await service.post(), await service.client.get("/page")
            assert data.headers["content-security-policy"].startswith("default-src 'none'")
            assert "default-src" not in page.headers["content-security-policy"]
            assert data.headers["cache-control"] == "no-store"
            for response in (data, page, await service.client.get("/nowhere")):
                assert response.headers.get_list("x-content-type-options") == ["nosniff"]
                assert response.headers["x-frame-options"] == "DENY"
                assert "access-control-allow-origin" not in response.headers
                assert "strict-transport-security" not in response.headers
            secure = await service.client.get(URL.replace("http", "https") + "/page")
            assert secure.headers["strict-transport-security"].startswith("max-age=")

        run(test)

    def test_listed_origins_may_send_requests_with_keys(self) -> None:
        async def test() -> None:
            origin = "https://ships.example"
            allowed_origins = AllowedOrigins(frozenset({origin}), frozenset(), any_host=True)
            service = stub_service(base=KEYS_REQUIRED, allowed_origins=allowed_origins)
            preflight_headers = {"Access-Control-Request-Method": "POST", "Origin": origin}
            preflight_headers["Access-Control-Request-Headers"] = "authorization,idempotency-key"
            preflight = await service.client.options("/match", headers=preflight_headers)
            assert preflight.status_code == 200
            assert preflight.headers["access-control-allow-origin"] == origin
            response = await service.post(headers={"Origin": origin, **READER})
            assert response.headers["access-control-allow-origin"] == origin
            foreign = await service.client.options(
                "/match", headers=preflight_headers | {"Origin": "https://x.y"}
            )
            assert "access-control-allow-origin" not in foreign.headers

        run(test)


def test_a_packed_body_is_refused() -> None:
    async def test() -> None:
        service = stub_service()
        packed = {"Content-Encoding": "gzip"}
        response = await service.client.post("/match", content=b"x", headers={**KEY_K, **packed})
        assert (response.status_code, kind(response)) == (415, "media-type")
        assert "Content-Encoding: gzip; send it unpacked" in response.text
        plain = {"Content-Encoding": "identity"}
        assert (await service.client.post("/match", headers={**KEY_K, **plain})).status_code == 201

    run(test)
