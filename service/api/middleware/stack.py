"""What every request passes on its way to a route, in order."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from service.access.idempotency import IdempotencyStore
from service.access.keys import KeyBook
from service.access.rate_limits import RateLimiter
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.auth import Authenticated
from service.api.middleware.body_limit import BodyLimit
from service.api.middleware.head_requests import HeadRequests
from service.api.middleware.idempotency import Idempotent
from service.api.middleware.limits import InFlight, RateLimited
from service.api.middleware.request_telemetry import RequestTelemetry
from service.api.middleware.security_headers import SecurityHeaders
from service.observability.metrics import Telemetry

PROBES = frozenset({"/livez", "/readyz"})
METRICS = "/metrics"
OWN_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-API-Key",
    "X-Request-ID",
)
OWN_ANSWER_HEADERS = (
    "Content-Disposition",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "X-Request-ID",
)


@dataclass(frozen=True)
class MiddlewareOptions:
    """Who may come in, how often, how much and how long.

    Attributes:
        keys: the keys that count.
        metrics_open: whether `/metrics` needs no key.
        neighbours: which web pages may ask.
        limiter: the rate of each caller; None: no limit.
        limit_addresses: whether callers without a key are told apart by address and limited too.
        max_concurrent: requests answered at once.
        request_timeout_s: from a request's first line to the end of its answer.
        max_body_bytes: of a request.
        upload_timeout_s: from a request's first line to the end of its body.
        answers: for repeated requests.
        max_answer_bytes: of an answer that is kept for repetition.
    """

    keys: KeyBook
    metrics_open: bool
    neighbours: AllowedOrigins
    limiter: RateLimiter | None
    limit_addresses: bool
    max_concurrent: int
    request_timeout_s: float
    max_body_bytes: int
    upload_timeout_s: float
    answers: IdempotencyStore
    max_answer_bytes: int


def install(app: Starlette, entrance: MiddlewareOptions, telemetry: Telemetry) -> None:
    """Build the entrance in front of the routes; what is added last is passed first."""
    open_paths = PROBES | {METRICS} if entrance.metrics_open else PROBES
    app.add_middleware(HeadRequests)
    app.add_middleware(
        Idempotent,
        answers=entrance.answers,
        most_bytes=entrance.max_answer_bytes,
        telemetry=telemetry,
    )
    app.add_middleware(
        BodyLimit,
        max_bytes=entrance.max_body_bytes,
        timeout_s=entrance.upload_timeout_s,
        telemetry=telemetry,
    )
    app.add_middleware(
        InFlight,
        most=entrance.max_concurrent,
        timeout_s=entrance.request_timeout_s,
        exempt=PROBES | {METRICS},
        telemetry=telemetry,
    )
    if entrance.limiter is not None:
        app.add_middleware(
            RateLimited,
            limiter=entrance.limiter,
            by_address=entrance.limit_addresses,
            telemetry=telemetry,
        )
    app.add_middleware(
        Authenticated,
        keys=entrance.keys,
        open_paths=open_paths,
        neighbours=entrance.neighbours,
        telemetry=telemetry,
    )
    _share(app, entrance.neighbours.origins)
    app.add_middleware(RequestTelemetry, telemetry=telemetry, untraced=PROBES | {METRICS})


def _share(app: Starlette, origins: frozenset[str]) -> None:
    """Let web pages of these origins ask (CORS); by default none."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=OWN_REQUEST_HEADERS,
            expose_headers=OWN_ANSWER_HEADERS,
        )
    app.add_middleware(SecurityHeaders, shared=bool(origins))
