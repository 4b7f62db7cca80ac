"""Reject requests from foreign web pages while no key is required.

A browser on the analyst's machine can reach the loopback address on behalf of any page that it
shows. A page of another origin identifies itself in `Origin`; a page whose name resolves to the
loopback address (DNS rebinding) still carries that name in `Host`.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.api.transport_errors import ForbiddenError


@dataclass(frozen=True, slots=True)
class AllowedOrigins:
    """The web pages that may send requests.

    Attributes:
        origins: e.g. `https://ships.example`; `*` allows any.
        hosts: names under which clients may address the service.
        any_host: whether clients may address it under any other name as well.
    """

    origins: frozenset[str]
    hosts: frozenset[str]
    any_host: bool

    def check(self, headers: Headers) -> None:
        """Reject a request that a foreign web page sent.

        Raises:
            ForbiddenError: `Host` or `Origin` is not allowed.
        """
        host = headers.get("host", "")
        name = host_name(host)
        if host and not (self.any_host or name in self.hosts or is_loopback_name(name)):
            raise ForbiddenError(
                f"the service is not called {host!r}; use its loopback address, list the name in "
                "CROSSFIX_ALLOWED_HOSTS, or make a key with `crossfix keys create`"
            )
        origin = headers.get("origin")
        if origin is None or self.origins & {origin, "*"}:
            return
        origin_host = _host_and_port(origin)
        if origin_host != host.casefold() and host_name(origin_host) not in self.hosts:
            raise ForbiddenError(
                f"web pages of {origin!r} may not send requests; list the origin in "
                "CROSSFIX_CORS_ORIGINS"
            )


def require_same_origin(headers: Headers) -> None:
    """Reject a request that a page of another origin sent, or that does not tell its origin.

    `Sec-Fetch-Site` decides where the browser sends it: proxies may change `Host`. Browsers send it
    over https and to loopback addresses, and `Origin` with every request but GET and HEAD.

    Raises:
        ForbiddenError: the request does not come from a page of this service.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        own = origin is not None and _host_and_port(origin) == headers.get("host", "").casefold()
    if not own:
        raise ForbiddenError(
            "a request with a session cookie may change something only if a page of this service "
            "sends it; programs send Authorization: Bearer <key> instead"
        )


def host_name(host: str) -> str:
    """Return the host name in lower case, without its port; empty when malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback_name(name: str) -> bool:
    """Whether browsers resolve the name to this machine without asking a name server."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host_and_port(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
