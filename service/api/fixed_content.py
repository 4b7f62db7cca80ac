"""Answers that stay the same while the service runs: compressed, and sent once to each browser."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property

from fastapi import Request
from fastapi.responses import Response

REVALIDATED = "private, no-cache"
"""A browser may keep the answer, and asks whether it changed before it uses it again."""


@dataclass(frozen=True)
class FixedContent:
    """The body of an answer."""

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        """The digest of the bytes, as an entity tag."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    @cached_property
    def compressed(self) -> bytes:
        """The bytes, compressed with gzip."""
        return gzip.compress(self.content, 6, mtime=0)

    def response(
        self, request: Request, caching: str = REVALIDATED, policy: str | None = None
    ) -> Response:
        """Answer a GET request: 304 if the browser has the content already.

        Args:
            caching: the header Cache-Control.
            policy: the header Content-Security-Policy; None leaves it to the middleware.
        """
        headers = {"ETag": self.etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
        if policy is not None:
            headers["Content-Security-Policy"] = policy
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = self.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=self.media_type, headers=headers)
