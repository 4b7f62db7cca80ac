"""All middleware together, in front of routes of the test."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from service.access.keys import KeyRing, make_key
from service.access.roles import Role
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.idempotency import Idempotency
from service.api.middleware.stack import MiddlewareOptions, install
from service.observability.metrics import Telemetry
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.local.rate_limits import MemoryRateLimiter, Rate

URL = "http://127.0.0.1:8080"
RECORDS = [make_key(role.value, role, datetime.now(UTC)) for role in Role]
KEYS = {record.role: {"Authorization": f"Bearer {key}"} for record, key in RECORDS}
READER, CURATOR = KEYS[Role.READER], KEYS[Role.CURATOR]
KEY_K = {"Idempotency-Key": "k"}

Headers = dict[str, str]


class StubKeyStore:
    """A key book with one key for each of the given roles."""

    def __init__(self, *roles: Role) -> None:
        self._ring = KeyRing([record for record, _ in RECORDS if record.role in roles])

    def ring(self) -> KeyRing:
        return self._ring


@dataclass
class Routes:
    """Routes behind the middleware, which record the requests that reach them."""

    bodies: list[bytes] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    async def match(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.callers.append(request.state.principal.name)
        return JSONResponse({"number": len(self.bodies)}, 201, {"Location": "/made"})

    async def fail(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        return JSONResponse({}, 503 if len(self.bodies) == 1 else 200)

    async def wait(self, request: Request) -> Response:
        def work() -> None:
            assert self.gate.wait(20)

        await request.body()
        await run_in_threadpool(work)
        self.finished.set()
        return JSONResponse({"done": True})

    async def page(self, _request: Request) -> Response:
        return Response("<p>", media_type="text/html")

    async def probe(self, _request: Request) -> Response:
        return JSONResponse({"probe": True})


@dataclass
class StubService:
    """An application with all middleware, and a client of it."""

    routes: Routes
    client: httpx.AsyncClient
    app: Starlette

    async def post(
        self, path: str = "/match", content: bytes = b"x", headers: Headers | None = None
    ) -> httpx.Response:
        return await self.client.post(path, content=content, headers=headers)


NO_KEYS = MiddlewareOptions(
    keys=StubKeyStore(),
    metrics_open=False,
    allowed_origins=AllowedOrigins(frozenset(), frozenset(), any_host=False),
    rate_limiter=None,
    limit_by_address=False,
    max_in_flight=10,
    request_timeout_s=20,
    max_body_bytes=1000,
    upload_timeout_s=20,
    idempotency=MemoryIdempotencyStore(Lifetimes(100, 100)),
    max_stored_response_bytes=1000,
)
KEYS_REQUIRED = replace(NO_KEYS, keys=StubKeyStore(*Role))


def stub_service(**changes: Any) -> StubService:
    options = replace(
        changes.pop("base", NO_KEYS),
        idempotency=MemoryIdempotencyStore(Lifetimes(100, 100)),
        **changes,
    )
    routes = Routes()
    app = Starlette(
        routes=[
            Route("/match", routes.match, methods=["GET", "POST"]),
            Route("/verify", routes.match, methods=["POST"]),
            Route("/gallery", routes.match, methods=["GET", "POST", "DELETE", "PATCH"]),
            Route("/fail", routes.fail, methods=["POST"]),
            Route("/wait", routes.wait, methods=["GET", "POST"]),
            Route("/page", routes.page),
            *(Route(path, routes.probe) for path in ("/livez", "/readyz", "/metrics")),
        ]
    )
    install(app, options, Telemetry())
    return StubService(
        routes, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL), app
    )


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 25))


def kind(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    return str(response.json()["type"]).removeprefix("urn:crossfix:problem:")


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

    def test_route_gets_the_body_as_it_was_sent(self) -> None:
        async def test() -> None:
            for size in (0, 1, 65_536, 65_537, 1_500_000):
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
            idempotency = Idempotency(app, store, 1000, Telemetry(), renew_every_s=0.05)
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

    def test_a_request_with_a_too_large_response_is_not_done_again(self) -> None:
        async def test() -> None:
            service = stub_service(max_stored_response_bytes=5)
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
