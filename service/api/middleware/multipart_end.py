"""Detect multipart forms that were cut off.

The parser silently drops the last part when the closing delimiter never arrives, as after a proxy
that cuts uploads; the service would then answer a part of the form as if it were the whole.
"""

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

MULTIPART = b"multipart/form-data"


class MultipartEnd:
    """Searches a body, chunk by chunk, for the delimiter that closes a form (RFC 2046, 5.1.1)."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary + b"--"
        self._tail = b""
        self._started = False
        self._found = False

    @classmethod
    def of(cls, headers: Headers) -> "MultipartEnd | None":
        """Read the boundary from the headers of a request; None when it is no form."""
        kind, options = parse_options_header(headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        return cls(boundary) if kind == MULTIPART and boundary else None

    @property
    def missing(self) -> bool:
        """Whether a body was received, but not its closing delimiter."""
        return self._started and not self._found

    @property
    def delimiter(self) -> str:
        """The delimiter that closes the form."""
        return self._delimiter.decode("latin-1")

    def search(self, chunk: bytes) -> None:
        """Search the next chunk; the delimiter may span two or more chunks."""
        self._started = self._started or bool(chunk)
        if not self._found:
            window = self._tail + chunk
            self._found = self._delimiter in window
            self._tail = window[-len(self._delimiter) :]
