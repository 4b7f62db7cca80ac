"""`/` and `/desk/…`: the analyst's desk, served as plain files from memory.

The page's content security policy allows scripts, styles and pictures of this service alone, and
no inline script or style. The page names its files by the digest of all of them, so that a browser
keeps them and asks for none of them again until one changes.
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.api.fixed_content import REVALIDATED, FixedContent

PAGE = "index.html"
PREFIX = "/desk/"
KEPT = "public, max-age=31536000, immutable"
VERSION = re.compile(r"^[0-9a-f]{16}/")
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


def read_files(folder: Path) -> dict[str, FixedContent]:
    """Read the page's files, by their path relative to the folder."""
    return {
        path.relative_to(folder).as_posix(): FixedContent(
            path.read_bytes(), MEDIA_TYPES[path.suffix]
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in MEDIA_TYPES
    }


def version_of(files: dict[str, FixedContent]) -> str:
    """Return the digest of all files, as it stands in the addresses of the page."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name} {file.etag} ".encode())
    return digest.hexdigest()[:16]


def desk_paths(folder: Path) -> frozenset[str]:
    """Return the paths at which the files are served; none of them needs a key."""
    files = read_files(folder)
    prefixes = (PREFIX, f"{PREFIX}{version_of(files)}/")
    return frozenset({"/"} | {f"{prefix}{name}" for prefix in prefixes for name in files})


def desk_router(folder: Path) -> APIRouter:
    """Return the routes of the page and its files; links are relative, for proxies with a prefix.

    Raises:
        KeyError: the folder has no `index.html`.
    """
    files = read_files(folder)
    version = version_of(files)
    page = _with_version(files.pop(PAGE), version)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def show_page(request: Request) -> Response:
        return page.response(request, policy=POLICY)

    @router.get(PREFIX + "{name:path}")
    async def send_file(name: str, request: Request) -> Response:
        found = files.get(VERSION.sub("", name, count=1))  # of an older page, the present file
        if found is None:
            raise HTTPException(404)
        return found.response(request, KEPT if name.startswith(f"{version}/") else REVALIDATED)

    return router


def _with_version(page: FixedContent, version: str) -> FixedContent:
    """Return the page with the version in the addresses of its files."""
    return replace(page, content=page.content.replace(b'"desk/', f'"desk/{version}/'.encode()))
