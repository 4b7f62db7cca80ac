"""Whether a multipart form has come to its end.

The parser drops the last part in silence when the closing boundary never comes, as after a proxy
that cuts uploads; the rest would be answered as if it were the whole.
"""

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

MULTIPART = b"multipart/form-data"


class MultipartEnd:
    """Looks for the delimiter that closes a form (RFC 2046, 5.1.1) while the body passes by."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"--" + boundary + b"--"
        self._tail = b""
        self._begun = False
        self._closed = False

    @classmethod
    def of(cls, headers: Headers) -> "MultipartEnd | None":
        """What to look for, or None where no form was announced."""
        kind, options = parse_options_header(headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        return cls(boundary) if kind == MULTIPART and boundary else None

    @property
    def missing(self) -> bool:
        """Whether there was a body, but no end of it so far."""
        return self._begun and not self._closed

    def pass_by(self, chunk: bytes) -> None:
        """Look at the next part of the body; the mark may lie across two of them."""
        self._begun = self._begun or bool(chunk)
        if not self._closed:
            seen = self._tail + chunk
            self._closed = self._mark in seen
            self._tail = seen[-len(self._mark) :]

    @property
    def mark(self) -> str:
        return self._mark.decode("latin-1")
