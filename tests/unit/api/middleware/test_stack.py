"""What a request passes on its way to a route, in front of routes of our own."""

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
from starlette.types import Message

from service.access.keys import KeyRing, make_key
from service.access.roles import Role
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.idempotency import Idempotent
from service.api.middleware.stack import MiddlewareOptions, install
from service.observability.metrics import Telemetry
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.local.rate_limits import MemoryRateLimiter, Rate

URL = "http://127.0.0.1:8080"
RECORDS = [make_key(role.value, role, datetime.now(UTC)) for role in Role]
KEYS = {record.role: {"Authorization": f"Bearer {key}"} for record, key in RECORDS}
READER, CURATOR = KEYS[Role.READER], KEYS[Role.CURATOR]


class Book:
    """Keys that a test chooses."""

    def __init__(self, *roles: Role) -> None:
        self._ring = KeyRing([record for record, _ in RECORDS if record.role in roles])

    def ring(self) -> KeyRing:
        return self._ring


@dataclass
class Routes:
    """What lies behind the entrance, and what reached it."""

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

    async def page(self, request: Request) -> Response:
        return Response("<p>", media_type="text/html")

    async def probe(self, request: Request) -> Response:
        return JSONResponse({"probe": True})


@dataclass
class Place:
    """An application behind an entrance, and a client of it."""

    routes: Routes
    client: httpx.AsyncClient
    app: Starlette

    async def post(self, path: str = "/match", content: bytes = b"x", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=content, headers=named)


OPEN = MiddlewareOptions(
    keys=Book(),
    metrics_open=False,
    neighbours=AllowedOrigins(frozenset(), frozenset(), any_host=False),
    limiter=None,
    limit_addresses=False,
    max_concurrent=10,
    request_timeout_s=20,
    max_body_bytes=1000,
    upload_timeout_s=20,
    answers=MemoryIdempotencyStore(Lifetimes(100, 100)),
    max_answer_bytes=1000,
)
LOCKED = replace(OPEN, keys=Book(*Role))


def place(**changes: Any) -> Place:
    entrance = replace(
        changes.pop("start", OPEN), answers=MemoryIdempotencyStore(Lifetimes(100, 100)), **changes
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
    install(app, entrance, Telemetry())
    return Place(routes, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL), app)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 25))


def kind(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    return str(answer.json()["type"]).removeprefix("urn:crossfix:problem:")


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
    def test_each_request_needs_its_role(self, method: str, path: str, least: Role) -> None:
        async def test() -> None:
            here = place(start=LOCKED)
            for role in Role:
                answer = await here.client.request(method, path, headers=KEYS[role])
                if role.covers(least):
                    assert answer.status_code not in (401, 403)
                else:
                    assert (answer.status_code, kind(answer)) == (403, "forbidden")
            answer = await here.client.request(method, path)
            assert (answer.status_code, kind(answer)) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"] == 'Bearer realm="crossfix"'

        run(test)

    def test_either_header_will_do_and_the_route_learns_who_asks(self) -> None:
        async def test() -> None:
            here = place(start=LOCKED)
            key = READER["Authorization"].removeprefix("Bearer ")
            assert (await here.post(X_API_Key=key)).status_code == 201
            assert (await here.post(Authorization=f"bearer {key}")).status_code == 201
            assert here.routes.callers == ["reader", "reader"]
            for wrong in (f"Basic {key}", key, "Bearer", "Bearer nonsense"):
                assert (await here.post(Authorization=wrong)).status_code == 401

        run(test)

    def test_probes_are_open_and_metrics_by_choice(self) -> None:
        async def test() -> None:
            for metrics_open, status in ((False, 401), (True, 200)):
                here = place(start=LOCKED, metrics_open=metrics_open)
                assert (await here.client.get("/livez")).status_code == 200
                assert (await here.client.get("/readyz")).status_code == 200
                assert (await here.client.get("/metrics")).status_code == status
                assert (await here.client.get("/livez/")).status_code == 401
                assert (await here.client.get("/page")).status_code == 401

        run(test)

    def test_the_body_of_a_stranger_is_not_read(self) -> None:
        async def test() -> None:
            sent: list[Message] = []

            async def receive() -> Message:
                raise AssertionError("the body was read")

            async def send(message: Message) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/match", "headers": []}
            scope |= {"query_string": b"", "scheme": "http", "server": ("127.0.0.1", 8080)}
            await place(start=LOCKED).app(scope, receive, send)
            assert sent[0]["status"] == 401

        run(test)

    def test_without_keys_foreign_pages_are_refused(self) -> None:
        async def test() -> None:
            here = place()
            assert (await here.post()).status_code == 201
            answer = await here.post(Origin="https://evil.example")
            assert (answer.status_code, kind(answer)) == (403, "forbidden")
            assert (await here.post(Host="evil.example")).status_code == 403

        run(test)


class TestLimits:
    def test_a_key_has_its_rate_and_probes_have_none(self) -> None:
        async def test() -> None:
            here = place(start=LOCKED, limiter=MemoryRateLimiter(Rate(2, burst=2)))
            for _ in range(2):
                assert (await here.client.get("/page", headers=READER)).status_code == 200
            refused = await here.client.get("/page", headers=READER)
            assert (refused.status_code, kind(refused)) == (429, "rate-limited")
            assert 20 < int(refused.headers["retry-after"]) <= 30
            assert (await here.client.get("/page", headers=CURATOR)).status_code == 200
            for _ in range(5):
                assert (await here.client.get("/readyz")).status_code == 200

        run(test)

    @pytest.mark.parametrize(("by_address", "status"), [(True, 429), (False, 200)])
    def test_without_keys_addresses_are_limited_where_others_reach_it(
        self, by_address: bool, status: int
    ) -> None:
        async def test() -> None:
            limiter = MemoryRateLimiter(Rate(1, burst=1))
            here = place(limiter=limiter, limit_addresses=by_address)
            assert (await here.client.get("/page")).status_code == 200
            assert (await here.client.get("/page")).status_code == status

        run(test)

    def test_beyond_so_many_at_once_is_429_but_probes_pass(self) -> None:
        async def test() -> None:
            here = place(max_concurrent=2)
            waiting = [asyncio.create_task(here.client.get("/wait")) for _ in range(2)]
            await asyncio.sleep(0.1)
            refused = await here.post()
            assert (refused.status_code, kind(refused)) == (429, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert (await here.client.get("/livez")).status_code == 200
            here.routes.gate.set()
            assert [(await one).status_code for one in waiting] == [200, 200]
            assert (await here.post()).status_code == 201

        run(test)

    def test_late_answers_are_503_and_hold_their_place_until_they_end(self) -> None:
        async def test() -> None:
            here = place(request_timeout_s=0.2, max_concurrent=1)
            late = await here.client.get("/wait")
            assert (late.status_code, kind(late)) == (503, "took-too-long")
            assert late.headers["retry-after"]
            assert (await here.post()).status_code == 429
            here.routes.gate.set()
            while not here.routes.finished.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert (await here.post()).status_code == 201

        run(test)

    def test_a_body_that_does_not_come_is_408(self) -> None:
        async def slow() -> AsyncIterator[bytes]:
            yield b"x"
            await asyncio.sleep(20)
            yield b"y"

        async def test() -> None:
            here = place(upload_timeout_s=0.2)
            began = time.monotonic()
            for headers in ({}, {"Idempotency-Key": "k"}):
                answer = await here.client.post("/match", content=slow(), headers=headers)
                assert (answer.status_code, kind(answer)) == (408, "upload-too-slow")
                assert answer.headers["connection"] == "close"
            assert time.monotonic() - began < 10
            assert here.routes.bodies == []

        run(test)

    def test_an_answer_may_take_longer_than_its_upload(self) -> None:
        async def test() -> None:
            here = place(upload_timeout_s=0.1)
            threading.Timer(0.3, here.routes.gate.set).start()
            assert (await here.client.post("/wait", content=b"x")).status_code == 200

        run(test)


class TestIdempotency:
    def test_a_repeat_is_answered_again_and_not_done_again(self) -> None:
        async def test() -> None:
            here = place()
            first = await here.post(Idempotency_Key="k")
            again = await here.post(Idempotency_Key="k")
            assert (first.status_code, again.status_code) == (201, 201)
            assert first.content == again.content
            assert again.headers["location"] == "/made"
            assert again.headers["idempotency-replayed"] == "true"
            assert "idempotency-replayed" not in first.headers
            assert first.headers["x-request-id"] != again.headers["x-request-id"]
            assert here.routes.bodies == [b"x"]
            await here.post(Idempotency_Key="another")
            await here.post()
            assert len(here.routes.bodies) == 3

        run(test)

    def test_the_route_gets_the_body_as_it_was_sent(self) -> None:
        async def test() -> None:
            for size in (0, 1, 65_536, 65_537, 1_500_000):
                here = place(max_body_bytes=10**7)
                body = bytes(i % 251 for i in range(size))
                assert (await here.post(content=body, Idempotency_Key="k")).status_code == 201
                assert here.routes.bodies == [body]

        run(test)

    def test_another_request_with_the_key_is_422(self) -> None:
        async def test() -> None:
            here = place()
            await here.post(Idempotency_Key="k")
            for path, content in (("/match", b"y"), ("/verify", b"x")):
                other = await here.post(path, content, Idempotency_Key="k")
                assert (other.status_code, kind(other)) == (422, "idempotency-key-reused")
            assert len(here.routes.bodies) == 1

        run(test)

    def test_while_it_is_being_answered_a_repeat_is_409(self) -> None:
        async def test() -> None:
            here = place()
            first = asyncio.create_task(here.post("/wait", Idempotency_Key="k"))
            await asyncio.sleep(0.1)
            second = await here.post("/wait", Idempotency_Key="k")
            assert (second.status_code, kind(second)) == (409, "idempotency-in-progress")
            assert second.headers["retry-after"] == "1"
            here.routes.gate.set()
            assert (await first).json() == {"done": True}
            assert (await here.post("/wait", Idempotency_Key="k")).json() == {"done": True}

        run(test)

    def test_a_key_is_held_as_long_as_its_request_takes(self) -> None:
        async def test() -> None:
            routes, answers = Routes(), MemoryIdempotencyStore(Lifetimes(claim_s=0.4, answer_s=100))
            app = Starlette(routes=[Route("/wait", routes.wait, methods=["POST"])])
            held = Idempotent(app, answers, 1000, Telemetry(), renew_every_s=0.05)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(held), base_url=URL)
            key = {"Idempotency-Key": "k"}
            first = asyncio.create_task(client.post("/wait", headers=key))
            await asyncio.sleep(1.0)
            assert (await client.post("/wait", headers=key)).status_code == 409
            routes.gate.set()
            assert (await first).json() == {"done": True}

        run(test)

    def test_an_answer_that_came_too_late_can_be_had_afterwards(self) -> None:
        async def test() -> None:
            here = place(request_timeout_s=0.2)
            assert (await here.post("/wait", Idempotency_Key="k")).status_code == 503
            here.routes.gate.set()
            while (again := await here.post("/wait", Idempotency_Key="k")).status_code == 409:
                await asyncio.sleep(0.01)
            assert again.headers["idempotency-replayed"] == "true"

        run(test)

    def test_what_failed_may_be_tried_again(self) -> None:
        async def test() -> None:
            here = place()
            statuses = [(await here.post("/fail", Idempotency_Key="k")).status_code]
            statuses.append(
                (await here.post("/fail", b"corrected", Idempotency_Key="k")).status_code
            )
            assert statuses == [503, 200]

        run(test)

    def test_an_answer_too_large_to_keep_is_not_done_again(self) -> None:
        async def test() -> None:
            here = place(max_answer_bytes=5)
            assert (await here.post(Idempotency_Key="k")).json() == {"number": 1}
            again = await here.post(Idempotency_Key="k")
            assert (again.status_code, kind(again)) == (409, "idempotency-answer-too-large")
            assert len(here.routes.bodies) == 1

        run(test)

    def test_keys_of_one_are_not_those_of_another(self) -> None:
        async def test() -> None:
            here = place(start=LOCKED)
            for headers in (READER, CURATOR):
                await here.post(Idempotency_Key="k", **headers)
            assert here.routes.callers == ["reader", "curator"]

        run(test)

    @pytest.mark.parametrize("key", ["", "x" * 256, "tab\tbed"])
    def test_a_malformed_key_is_refused(self, key: str) -> None:
        async def test() -> None:
            here = place()
            assert kind(await here.post(Idempotency_Key=key)) == "invalid-request"
            assert here.routes.bodies == []

        run(test)

    def test_a_body_beyond_the_limit_is_refused_as_ever(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 500

        async def test() -> None:
            here = place()
            answer = await here.client.post(
                "/match", content=chunks(), headers={"Idempotency-Key": "k"}
            )
            assert (answer.status_code, kind(answer)) == (413, "body-too-large")
            assert (await here.post(Idempotency_Key="k")).status_code == 201

        run(test)


class TestHeaders:
    def test_browsers_are_told_to_take_no_liberties(self) -> None:
        async def test() -> None:
            here = place()
            data, page = await here.post(), await here.client.get("/page")
            assert data.headers["content-security-policy"].startswith("default-src 'none'")
            assert "default-src" not in page.headers["content-security-policy"]
            assert data.headers["cache-control"] == "no-store"
            for answer in (data, page, await here.client.get("/nowhere")):
                assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
                assert answer.headers["x-frame-options"] == "DENY"
                assert "access-control-allow-origin" not in answer.headers
                assert "strict-transport-security" not in answer.headers
            secure = await here.client.get(URL.replace("http", "https") + "/page")
            assert secure.headers["strict-transport-security"].startswith("max-age=")

        run(test)

    def test_listed_origins_may_ask_with_their_keys(self) -> None:
        async def test() -> None:
            origin = "https://ships.example"
            neighbours = AllowedOrigins(frozenset({origin}), frozenset(), any_host=True)
            here = place(start=LOCKED, neighbours=neighbours)
            asked = {"Access-Control-Request-Method": "POST", "Origin": origin}
            asked["Access-Control-Request-Headers"] = "authorization,idempotency-key"
            preflight = await here.client.options("/match", headers=asked)
            assert preflight.status_code == 200
            assert preflight.headers["access-control-allow-origin"] == origin
            answer = await here.post(Origin=origin, **READER)
            assert answer.headers["access-control-allow-origin"] == origin
            foreign = await here.client.options("/match", headers=asked | {"Origin": "https://x.y"})
            assert "access-control-allow-origin" not in foreign.headers

        run(test)
