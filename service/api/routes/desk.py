"""`/` and `/desk/…`: the analyst's desk, served as plain files from memory.

The page's content security policy allows scripts, styles and pictures of this service alone, and
no inline script or style.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

PAGE = "index.html"
PREFIX = "/desk/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class DeskFile:
    """One file of the page."""

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

    def response(self, request: Request, policy: str | None = None) -> Response:
        """Answer a GET request: 304 if the browser has the file already."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if policy is not None:
            headers["Content-Security-Policy"] = policy
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = self.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=self.media_type, headers=headers)


def read_files(folder: Path) -> dict[str, DeskFile]:
    """Read the page's files, by their path relative to the folder."""
    return {
        path.relative_to(folder).as_posix(): DeskFile(path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in MEDIA_TYPES
    }


def desk_paths(folder: Path) -> frozenset[str]:
    """Return the paths at which the files are served; none of them needs a key."""
    return frozenset({"/"} | {f"{PREFIX}{name}" for name in read_files(folder)})


def desk_router(folder: Path) -> APIRouter:
    """Return the routes of the page and its files; links are relative, for proxies with a prefix.

    Raises:
        KeyError: the folder has no `index.html`.
    """
    files = read_files(folder)
    page = files.pop(PAGE)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def show_page(request: Request) -> Response:
        return page.response(request, POLICY)

    @router.get(PREFIX + "{name:path}")
    async def send_file(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404)
        return files[name].response(request)

    return router
