"""`/docs`: the API to read and to try, in a page that loads nothing from elsewhere.

Swagger UI's files come with the package fastapi-offline; only its files are used. The page is
allowed what it needs and no more: nothing inline runs as a script, nothing is asked of others.
"""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Swagger UI sets styles on its elements and draws with `data:` pictures.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Crossfix: the API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
"""


def docs_router() -> APIRouter:
    """The page and its files; all addresses in it are relative, for proxies that add a prefix."""
    router = APIRouter(include_in_schema=False)
    folder = _assets()

    @router.get("/docs")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    for name, media in ASSETS.items():
        router.add_api_route(f"/docs/{name}", _file(folder / name, media), methods=["GET"])
    return router


def _assets() -> Path:
    """Where Swagger UI's files are installed."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fastapi_offline is not installed", name="fastapi_offline")
    return Path(package.origin).parent / "static"


def _file(path: Path, media: str) -> Callable[[], Awaitable[FileResponse]]:
    async def answer() -> FileResponse:
        return FileResponse(path, media_type=media)

    return answer
