"""Keeping foreign web pages away from a service that asks for no key.

A browser on the analyst's machine reaches the loopback address for any page it shows. A page of
another origin announces itself in `Origin`; one that renamed itself to the loopback address (DNS
rebinding) still names itself in `Host`.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.api.transport_errors import ForbiddenError


@dataclass(frozen=True, slots=True)
class AllowedOrigins:
    """The web pages that may ask.

    Attributes:
        origins: e.g. `https://ships.example`; `*` is any.
        hosts: names by which the service may be called.
        any_host: whether it may be called by other names as well.
    """

    origins: frozenset[str]
    hosts: frozenset[str]
    any_host: bool

    def check(self, headers: Headers) -> None:
        """Raises ForbiddenError when a foreign web page asks."""
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
        place = _netloc(origin)
        if place != host.casefold() and host_name(place) not in self.hosts:
            raise ForbiddenError(
                f"a web page of {origin!r} may not ask here; list it in CROSSFIX_CORS_ORIGINS"
            )


def host_name(host: str) -> str:
    """The name without its port, in lower case; empty when malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback_name(name: str) -> bool:
    """Whether browsers reach this machine itself by the name, whatever a name server says."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
