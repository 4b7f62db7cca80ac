"""The middleware around stub routes, for tests of the layers in their order."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.access.keys import KeyRing, make_key
from service.access.roles import Role
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.stack import MiddlewareOptions, install
from service.observability.metrics import Telemetry
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore

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
    page_paths=frozenset(),
    metrics_open=False,
    allowed_origins=AllowedOrigins(frozenset(), frozenset(), any_host=False),
    rate_limiter=None,
    limit_by_address=False,
    max_in_flight=10,
    request_timeout_s=20,
    max_body_bytes=1000,
    upload_timeout_s=20,
    idempotency=MemoryIdempotencyStore(Lifetimes(100, 100)),
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
