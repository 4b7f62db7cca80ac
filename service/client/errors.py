"""Errors of the client; every message can be shown to a person as it is."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base of all client errors."""


class SourceError(ClientError):
    """A folder, manifest, chip or API key on this machine cannot be used."""


class UnreachableError(ClientError):
    """No answer from the address, or the answer is not that of a Crossfix service."""


class StoppedError(ClientError):
    """The user interrupted the client before the service had answered."""


class LocalServiceError(ClientError):
    """The service that the demo starts failed to start, or died."""


class RefusedError(ClientError):
    """The service answered with a problem document (RFC 9457).

    Attributes:
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
        """Build from a decoded response body, or from the status if that is no problem."""
        problem: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        kind = str(problem.get("type", "")).rpartition(":")[2] or f"http-{status}"
        return cls(status, kind, str(problem.get("detail") or f"the service answered {status}"))
