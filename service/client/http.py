"""Client of the service's HTTP API that repeats requests which met overload."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import httpx

from service.client import DEFAULT_URL
from service.client.errors import RefusedError, StoppedError, UnreachableError

TIMEOUT_S = 180.0
CONNECT_TIMEOUT_S = 5.0
PATIENCE_S = 120.0
MAX_LOST_CONNECTIONS = 3
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.25, 8.0

Json = dict[str, Any]
_REPEATABLE_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class ChipPart:
    """A chip to send.

    Attributes:
        name: file name.
        data: content of the file.
        metadata: fields of `chip_metadata` in `POST /gallery`, or of `POST /match`.
    """

    name: str
    data: bytes
    metadata: Mapping[str, object]


class CrossfixClient:
    """Client of one service; may be shared by threads.

    Requests that meet 429 or 503 are repeated after the time given in `Retry-After`, until
    `patience_s` is spent; requests whose connection broke are repeated `MAX_LOST_CONNECTIONS`
    times. Repeating is safe: the service derives ids from content, and a repeated request changes
    nothing. Every request may raise RefusedError, UnreachableError or StoppedError.

    Attributes:
        url: address of the service.
        stopping: when set, waiting ends with StoppedError.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        patience_s: float = PATIENCE_S,
        stopping: threading.Event | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self.stopping = stopping or threading.Event()
        self._patience_s = patience_s
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            transport=transport,
            trust_env=not _is_loopback(self.url),
        )

    def __enter__(self) -> "CrossfixClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def require_alive(self) -> None:
        """Check that a Crossfix service answers.

        Raises:
            UnreachableError: none does; without repeating.
        """
        try:
            response = self._http.get("/livez")
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unreachable(self.url, error) from error
        if response.status_code != HTTPStatus.OK or _json(response) != {"status": "alive"}:
            raise UnreachableError(
                f"what answers at {self.url} is not a Crossfix service "
                f"(/livez gave status {response.status_code}); check --url"
            )

    def is_ready(self) -> bool:
        """Whether the service is ready; False while it does not answer."""
        try:
            return self._http.get("/readyz").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def bundle(self) -> Json:
        """Return the active bundle: `GET /bundle`."""
        return self._object("GET", "/bundle")

    def enrol(self, vessel: Mapping[str, object], chips: Sequence[ChipPart]) -> bool:
        """Register a vessel, or add missing chips to a registered one: `POST /gallery`.

        Returns:
            Whether this request created the vessel.
        """
        form = {"vessel": json.dumps(dict(vessel)), "chip_metadata": _metadata(chips)}
        response = self._send("POST", "/gallery", data=form, files=_files("chips", chips))
        return response.status_code == HTTPStatus.CREATED

    def add_chips(self, vessel_id: UUID, chips: Sequence[ChipPart]) -> None:
        """Add sightings to a registered vessel: `POST /gallery/{vessel_id}/chips`."""
        form = {"chip_metadata": _metadata(chips)}
        path = f"/gallery/{vessel_id}/chips"
        self._send("POST", path, data=form, files=_files("chips", chips))

    def match(self, chip: ChipPart, options: Mapping[str, object]) -> Json:
        """Ask which vessel a chip shows and return the response body: `POST /match`."""
        form = {name: _form_text(value) for name, value in {**options, **chip.metadata}.items()}
        return self._object("POST", "/match", data=form, files=_files("chip", [chip]))

    def picture(self, path: str) -> bytes:
        """Return the bytes of a picture, e.g. of a sighting's `preview_url`."""
        return self._send("GET", path).content

    def _object(self, method: str, path: str, **request: Any) -> Json:
        body = _json(self._send(method, path, **request))
        if not isinstance(body, dict):
            raise UnreachableError(f"{self.url}{path} did not answer with JSON; check --url")
        return body

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request; repeat it while the service is overloaded or the connection breaks."""
        deadline = time.monotonic() + self._patience_s
        backoff_s, lost = FIRST_BACKOFF_S, 0
        while True:
            if self.stopping.is_set():
                raise StoppedError("stopped before the service had answered")
            wait_s = backoff_s
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                lost += 1
                if lost > MAX_LOST_CONNECTIONS:
                    raise _unreachable(self.url, error) from error
            else:
                if response.is_success:
                    return response
                wait_s = retry_after_s(response.headers.get("Retry-After"), backoff_s)
                too_late = time.monotonic() + wait_s > deadline
                if response.status_code not in _REPEATABLE_STATUSES or too_late:
                    raise RefusedError.of(response.status_code, _json(response))
            self.stopping.wait(wait_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)


def retry_after_s(header: str | None, default_s: float) -> float:
    """Return the seconds in a `Retry-After` header: a number or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return default_s
    if header.strip().isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return default_s
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _metadata(chips: Sequence[ChipPart]) -> str:
    return json.dumps([dict(chip.metadata) for chip in chips])


def _files(field: str, chips: Sequence[ChipPart]) -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (chip.name, chip.data)) for chip in chips]


def _form_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(response: httpx.Response) -> object:
    """Return the decoded body, None when it is not JSON."""
    try:
        body: object = response.json()
    except ValueError:
        return None
    return body


def _checked_url(url: str) -> str:
    """Return the address without a trailing slash.

    Raises:
        UnreachableError: the text is no http(s) address.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UnreachableError(f"{url!r} is not an address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UnreachableError(f"{url!r} is not an address; expected one such as {DEFAULT_URL}")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unreachable(url: str, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"no answer from {url} ({error}); start the service with `crossfix serve`, "
        "or give its address with --url"
    )
