"""What can go wrong on the asking side; every message can be shown to a person as it is."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base of all errors of this room."""


class SourceError(ClientError):
    """A folder, manifest or chip on this machine cannot be used."""


class UnreachableError(ClientError):
    """Nothing answers at the address, or what answers is no Crossfix service."""


class StoppedError(ClientError):
    """The person asked to stop before the service had answered."""


class LocalServiceError(ClientError):
    """The service that the demo starts did not come up."""


class RefusedError(ClientError):
    """The service answered with a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        kind: the last part of the problem's type, e.g. `chip-format`.
        detail: what was wrong and what would be right.
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail

    @classmethod
    def of(cls, status: int, body: object) -> "RefusedError":
        """From a decoded response body; one that is no problem is told by its status alone."""
        problem: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        kind = str(problem.get("type", "")).rpartition(":")[2] or f"http-{status}"
        return cls(status, kind, str(problem.get("detail") or f"the service answered {status}"))

    @property
    def is_about_a_chip(self) -> bool:
        """Whether the rest of the request might pass without one of its chips."""
        return self.kind.startswith("chip") or self.kind == "body-too-large"
