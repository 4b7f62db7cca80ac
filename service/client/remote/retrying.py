"""Decide whether a request is repeated, and after how many seconds; sends and waits nothing."""

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import httpx

from service.client import DEFAULT_URL
from service.client.errors import RefusedError, SourceError, UnreachableError
from service.client.remote.call import decoded

TIMEOUT_S = 180.0
CONNECT_TIMEOUT_S = 5.0
PATIENCE_S = 120.0
MAX_LOST_CONNECTIONS = 3
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.25, 8.0

_REPEATABLE_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_IN_PROGRESS = "idempotency-in-progress"


@dataclass(slots=True)
class Attempts:
    """The attempts of one request.

    Attributes:
        url: address of the service for messages, without a password.
        patience_s: no attempt begins later than so many seconds after the first.
    """

    url: str
    patience_s: float
    _backoff_s: float = FIRST_BACKOFF_S
    _lost: int = 0
    _began: float = field(default_factory=time.monotonic)

    def wait_after_loss(self, error: httpx.RequestError) -> float:
        """Return the seconds to wait after a lost connection or an unreadable response.

        Raises:
            UnreachableError: it was lost too often.
        """
        self._lost += 1
        if self._lost > MAX_LOST_CONNECTIONS:
            raise unreachable(self.url, error) from error
        return self._next_backoff()

    def wait_after_refusal(self, response: httpx.Response) -> float:
        """Return the seconds to wait after a response, read whole, that is no success.

        Raises:
            RefusedError: repeating would not help, or would take too long.
        """
        refusal = RefusedError.of(response.status_code, decoded(response.content))
        return self.wait_after(refusal, response.headers.get("Retry-After"))

    def wait_after(self, refusal: RefusedError, retry_after: str | None = None) -> float:
        """Return the seconds to wait after a refusal; see `wait_after_refusal`."""
        wait_s = retry_after_s(retry_after, self._next_backoff())
        if not is_repeatable(refusal) or time.monotonic() + wait_s > self._began + self.patience_s:
            raise refusal
        return wait_s

    def _next_backoff(self) -> float:
        wait_s = self._backoff_s
        self._backoff_s = min(2 * wait_s, MAX_BACKOFF_S)
        return wait_s


def is_repeatable(refusal: RefusedError) -> bool:
    """Return whether the same request may be accepted later."""
    return refusal.status in _REPEATABLE_STATUSES or refusal.kind == _IN_PROGRESS


def retry_after_s(header: str | None, default_s: float) -> float:
    """Return the seconds in a `Retry-After` header: a number or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return default_s
    if header.strip().isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header).astimezone(UTC)
    except (ValueError, OverflowError):
        return default_s
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def connection_options(url: str, api_key: str | None) -> dict[str, Any]:
    """Return the options of an httpx client of the service at `url`.

    Raises:
        SourceError: the API key holds characters that no key has.
    """
    if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
        raise SourceError(
            "the API key is empty, or holds blanks, line breaks or letters outside ASCII; give it "
            "as `crossfix keys create` printed it"
        )
    return {
        "base_url": url,
        "timeout": httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        "headers": {} if api_key is None else {"Authorization": f"Bearer {api_key}"},
        "trust_env": not _is_loopback(url),
    }


def checked_url(url: str) -> str:
    """Return the address without a trailing slash; raise UnreachableError if it is none."""
    shown = without_password(url)
    try:
        parsed = httpx.URL(url)
        parsed.raw_host.decode("ascii").encode("idna")  # as the name lookup does
    except (httpx.InvalidURL, UnicodeError) as error:
        # The reason may quote a part of a password.
        reason = f": {error}" if shown == url else "; percent-encode the password"
        raise UnreachableError(f"{shown!r} is not an address{reason}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UnreachableError(f"{shown!r} is not an address; expected one such as {DEFAULT_URL}")
    return url.rstrip("/")


def without_password(url: str) -> str:
    """Return an address, also a malformed one, for messages: without user name and password."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", url, flags=re.DOTALL)


def says_ready(response: httpx.Response) -> bool:
    """Return whether a response of `/readyz` is that of a Crossfix service which is ready."""
    document = decoded(response.content)
    return response.is_success and isinstance(document, dict) and document.get("ready") is True


def require_crossfix(url: str, response: httpx.Response) -> None:
    """Check a response of `/livez`; raise UnreachableError if another program gave it."""
    status = response.status_code
    if status != HTTPStatus.OK or decoded(response.content) != {"status": "alive"}:
        raise UnreachableError(
            f"what answers at {url} is not a Crossfix service "
            f"(/livez gave status {status}); check --url"
        )


def unreachable(url: str, error: Exception) -> UnreachableError:
    """Return the error of a service that does not answer."""
    return UnreachableError(
        f"no answer from {url} ({error}); start the service with `crossfix serve`, "
        "or give its address with --url"
    )


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
