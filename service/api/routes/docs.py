"""`/docs`: Swagger UI, served from local files only.

The files come with the package fastapi-offline, of which nothing else is used. The page's content
security policy forbids inline scripts and requests to other hosts.
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
# Swagger UI sets inline styles and uses `data:` images.
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
    """Return the routes of the page and its files; links are relative, for proxies with a prefix.

    Raises:
        ModuleNotFoundError: fastapi-offline is not installed.
    """
    router = APIRouter(include_in_schema=False)
    folder = _assets_folder()

    @router.get("/docs")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    for name, media in ASSETS.items():
        router.add_api_route(f"/docs/{name}", _file_route(folder / name, media), methods=["GET"])
    return router


def _assets_folder() -> Path:
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fastapi_offline is not installed", name="fastapi_offline")
    return Path(package.origin).parent / "static"


def _file_route(path: Path, media: str) -> Callable[[], Awaitable[FileResponse]]:
    async def send_file() -> FileResponse:
        return FileResponse(path, media_type=media)

    return send_file
