"""Install the middleware in order."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from service.access.idempotency import IdempotencyStore
from service.access.keys import KeyStore
from service.access.rate_limits import RateLimiter
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.middleware.auth import Authentication
from service.api.middleware.body_limit import BodyLimit
from service.api.middleware.head_requests import HeadRequests
from service.api.middleware.idempotency import Idempotency
from service.api.middleware.in_flight_limit import InFlightLimit
from service.api.middleware.rate_limit import RateLimit
from service.api.middleware.request_telemetry import RequestTelemetry
from service.api.middleware.security_headers import SecurityHeaders
from service.observability.metrics import Telemetry

PROBES = frozenset({"/livez", "/readyz"})
METRICS = "/metrics"
CORS_METHODS = ("GET", "POST", "PATCH", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-API-Key",
    "X-Request-ID",
)
CORS_RESPONSE_HEADERS = (
    "Content-Disposition",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-ID",
)


@dataclass(frozen=True)
class MiddlewareOptions:
    """The options of all middleware.

    Attributes:
        page_paths: paths of the desk, which need no key.
        metrics_open: whether `/metrics` requires no key.
        rate_limiter: the rate of each caller; None for no limit.
        limit_by_address: whether callers without a key are limited too, by address.
        max_in_flight: requests that are handled at once at most, and bodies that arrive at once.
        request_timeout_s: from the head of a request to the end of its response.
        upload_timeout_s: from the head of a request to the end of its body.
    """

    keys: KeyStore
    page_paths: frozenset[str]
    metrics_open: bool
    allowed_origins: AllowedOrigins
    rate_limiter: RateLimiter | None
    limit_by_address: bool
    max_in_flight: int
    request_timeout_s: float
    max_body_bytes: int
    upload_timeout_s: float
    idempotency: IdempotencyStore


def install(app: Starlette, options: MiddlewareOptions, telemetry: Telemetry) -> None:
    """Add all middleware to `app`; a request passes last what is added first."""
    open_paths = PROBES | options.page_paths
    if options.metrics_open:
        open_paths |= {METRICS}
    origins = options.allowed_origins.origins
    app.add_middleware(HeadRequests, telemetry=telemetry)
    app.add_middleware(Idempotency, store=options.idempotency, telemetry=telemetry)
    app.add_middleware(
        BodyLimit,
        max_bytes=options.max_body_bytes,
        timeout_s=options.upload_timeout_s,
        telemetry=telemetry,
    )
    app.add_middleware(
        InFlightLimit,
        max_in_flight=options.max_in_flight,
        timeout_s=options.request_timeout_s,
        exempt=PROBES | {METRICS},
        telemetry=telemetry,
    )
    if options.rate_limiter is not None:
        app.add_middleware(
            RateLimit,
            limiter=options.rate_limiter,
            by_address=options.limit_by_address,
            telemetry=telemetry,
        )
    app.add_middleware(
        Authentication,
        keys=options.keys,
        open_paths=open_paths,
        allowed_origins=options.allowed_origins,
        telemetry=telemetry,
    )
    # Outside authentication: browsers send preflight requests without a key.
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=CORS_METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_RESPONSE_HEADERS,
        )
    app.add_middleware(SecurityHeaders, telemetry=telemetry, cross_origin=bool(origins))
    app.add_middleware(RequestTelemetry, telemetry=telemetry, untraced_paths=PROBES | {METRICS})
