"""A package index and a vulnerability service on loopback, for the audit of dependencies."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


@dataclass
class RegistryDouble:
    """The data of the two services, which a test may change at any time.

    Attributes:
        vulnerable: identifiers of vulnerabilities by the name of a package.
        withdrawn: names of packages whose release 1.0 is yanked.
    """

    url: str = ""
    vulnerable: dict[str, str] = field(default_factory=lambda: {"pyyaml": "CVE-2020-14343"})
    withdrawn: set[str] = field(default_factory=set)

    @property
    def osv_url(self) -> str:
        return f"{self.url}/v1/query"

    @property
    def index_url(self) -> str:
        return f"{self.url}/simple"

    def vulnerabilities(self, name: str) -> dict[str, object]:
        """Return a response in schema 1 of OSV, whose only range ends at release 2.0."""
        if name not in self.vulnerable:
            return {}
        fixed = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}
        package = {"name": name, "ecosystem": "PyPI"}
        affected = [{"package": package, "ranges": [fixed]}]
        return {"vulns": [{"id": self.vulnerable[name], "affected": affected}]}

    def page(self, path: str) -> str:
        """Return a page of the simple index (PEP 503, 592), or linked metadata (PEP 658)."""
        name = path.strip("/").split("/")[1]
        if path.endswith(".metadata"):
            return METADATA.format(name=name)
        yanked = ' data-yanked="it sinks"' if name in self.withdrawn else ""
        wheel = f"{name}-1.0-py3-none-any.whl"
        link = f'<a href="/files/{name}/{wheel}" data-core-metadata="true"{yanked}>{wheel}</a>'
        return f"<!DOCTYPE html><html><body>{link}</body></html>"


@contextmanager
def registry_double() -> Iterator[RegistryDouble]:
    """Serve on a free port of loopback until the end of the block."""
    double = RegistryDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(double.page(self.path), "text/html")

        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = double.vulnerabilities(query["package"]["name"])
            self._answer(json.dumps(known), "application/json")

        def _answer(self, text: str, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        double.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield double
        finally:
            server.shutdown()
