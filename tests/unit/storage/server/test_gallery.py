"""The gallery on a server: its collections and alias, and reports of a server's failures.

Collections are tested on the local mode of qdrant-client, failures on a stub over HTTP.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.sightings import GalleryCounts, SightingFilter
from service.identity.records.vessels import VesselState
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query
from tests.support.galleries import search


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    local = QdrantClient(":memory:")
    yield local
    local.close()


def gallery_on(client: QdrantClient, bundle_id: str = BUNDLE, width: int = WIDTH) -> ServerGallery:
    return ServerGallery(ServerConnection(client), bundle_id=bundle_id, width=width)


def names(client: QdrantClient) -> set[str]:
    return {one.name for one in client.get_collections().collections}


def aliases(client: QdrantClient) -> dict[str, str]:
    return {one.alias_name: one.collection_name for one in client.get_aliases().aliases}


class TestCollections:
    def test_they_are_created_on_first_use(self, client: QdrantClient) -> None:
        gallery = gallery_on(client)
        assert names(client) == set()
        gallery.ping()
        sightings = f"crossfix-sightings-{BUNDLE}"
        assert names(client) == {"crossfix-vessels", sightings}
        assert aliases(client) == {"crossfix-sightings": f"crossfix-sightings-{BUNDLE}"}

    def test_a_second_replica_uses_them(self, client: QdrantClient) -> None:
        vessel = make_vessel()
        gallery_on(client).put_vessel(vessel)
        assert gallery_on(client).get_vessels([vessel.id]) == {vessel.id: vessel}

    def test_another_bundle_shares_vessels_and_leaves_the_alias(self, client: QdrantClient) -> None:
        vessel = make_vessel()
        first = gallery_on(client)
        first.put_vessel(vessel)
        first.put_sightings([embedded(0.9, vessel)], vessel)
        second = gallery_on(client, "another/bundle", 8)
        assert second.get_vessels([vessel.id]) == {vessel.id: vessel}
        assert second.sightings_of([vessel.id]) == []
        assert aliases(client) == {"crossfix-sightings": f"crossfix-sightings-{BUNDLE}"}

    def test_the_same_bundle_with_another_width_is_refused(self, client: QdrantClient) -> None:
        gallery_on(client).ping()
        with pytest.raises(StoreUnavailableError, match=r"holds vectors of 16 numbers.*makes 8"):
            gallery_on(client, width=8).ping()

    def test_one_request_writes_all_sightings(
        self, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[dict[str, Any]] = []
        real = client.upsert

        def upsert(collection: str, points: list[models.PointStruct], **options: Any) -> object:
            calls.append({"points": len(points), **options})
            return real(collection, points, **options)

        monkeypatch.setattr(client, "upsert", upsert)
        vessel = make_vessel()
        gallery_on(client).put_sightings([embedded(0.9, vessel) for _ in range(300)], vessel)
        ordered = {"wait": True, "ordering": models.WriteOrdering.MEDIUM}
        assert calls == [{"points": 300, **ordered}]

    def test_a_change_during_a_count_is_in_the_next_count(
        self, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery = gallery_on(client)
        real_count, vessels = client.count, [make_vessel()]

        def count(*arguments: Any, **named: Any) -> Any:
            answer = real_count(*arguments, **named)
            if vessels:
                gallery.put_vessel(vessels.pop())
            return answer

        monkeypatch.setattr(client, "count", count)
        assert gallery.counts() == GalleryCounts(0, 0)
        assert gallery.counts() == GalleryCounts(1, 0)

    def test_changes_of_another_replica_are_counted_soon(
        self, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [100.0]
        monkeypatch.setattr("service.storage.server.counts.time.monotonic", lambda: clock[0])
        first, second = gallery_on(client), gallery_on(client)
        assert first.counts() == GalleryCounts(0, 0)
        second.put_vessel(make_vessel())
        assert second.counts() == GalleryCounts(1, 0)
        assert first.counts() == GalleryCounts(0, 0)
        clock[0] += 2.1
        assert first.counts() == GalleryCounts(1, 0)

    def test_a_closed_gallery_refuses_calls(self, client: QdrantClient) -> None:
        gallery = gallery_on(client)
        gallery.close()
        gallery.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            search(gallery, query(), SightingFilter(), 3)


class Stub(ThreadingHTTPServer):
    """A server that responds with the entry of `answers` for "METHOD path", or with 404."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, object]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        request = f"{self.command} {self.path.partition('?')[0]}"
        self.server.requests.append((request, {k.lower(): v for k, v in self.headers.items()}))
        time.sleep(self.server.delay_s)
        status, result = self.server.answers.get(request, (404, None))
        body = json.dumps({"time": 0.0, "status": "ok", "result": result}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def gallery_at(url: str, timeout_s: float = 1, api_key: str | None = None) -> ServerGallery:
    return ServerGallery(ServerConnection(url, api_key, timeout_s), BUNDLE, WIDTH)


def collection_info(width: int | None, indexes: dict[str, str]) -> dict[str, object]:
    vectors = {"size": width, "distance": "Dot"} if width else {}
    hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
    optimizers = {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 0,
        "flush_interval_sec": 5,
    }
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "points_count": 0,
        "config": {
            "params": {"vectors": vectors},
            "hnsw_config": hnsw,
            "optimizer_config": optimizers,
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        },
        "payload_schema": {k: {"data_type": t, "points": 0} for k, t in indexes.items()},
    }


def answer_as_prepared(stub: Stub) -> None:
    """Answer as if another replica creates the collections at the same time."""
    sightings = f"crossfix-sightings-{BUNDLE}"
    for name, width in (("crossfix-vessels", None), (sightings, WIDTH)):
        stub.answers[f"GET /collections/{name}/exists"] = (200, {"exists": False})
        stub.answers[f"PUT /collections/{name}"] = (409, None)
        stub.answers[f"GET /collections/{name}"] = (200, collection_info(width, {}))
        updated = {"operation_id": 1, "status": "completed"}
        stub.answers[f"PUT /collections/{name}/index"] = (200, updated)
        stub.answers[f"PUT /collections/{name}/points"] = (200, updated)
        stub.answers[f"POST /collections/{name}/points/count"] = (200, {"count": 0})
        stub.answers[f"POST /collections/{name}/points/scroll"] = (200, {"points": []})
    stub.answers["GET /aliases"] = (200, {"aliases": []})
    stub.answers["POST /collections/aliases"] = (200, True)


class TestFailures:
    def test_no_server(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            gallery = gallery_at(f"http://127.0.0.1:{unused.getsockname()[1]}")
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                gallery.ping()

    def test_a_hanging_server_is_timed_out(self, stub: Stub) -> None:
        stub.delay_s = 1.5
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            gallery_at(stub.url, timeout_s=1).ping()
        assert time.monotonic() - began < 10

    def test_the_gallery_recovers_with_the_server(self, stub: Stub) -> None:
        gallery = gallery_at(stub.url)
        with pytest.raises(StoreUnavailableError, match="404"):
            gallery.ping()
        answer_as_prepared(stub)
        gallery.ping()

    def test_a_collection_that_another_replica_creates_is_used(self, stub: Stub) -> None:
        answer_as_prepared(stub)
        gallery_at(stub.url).put_vessel(make_vessel(state=VesselState.ENROLLING))
        requests = [request for request, _ in stub.requests]
        assert requests.count("PUT /collections/crossfix-vessels") == 1
        assert requests.count("PUT /collections/crossfix-vessels/index") == 7
        assert requests.count(f"PUT /collections/crossfix-sightings-{BUNDLE}/index") == 9
        assert requests[-1] == "PUT /collections/crossfix-vessels/points"

    def test_the_key_is_sent_and_a_refused_key_is_reported(self, stub: Stub) -> None:
        for name in ("crossfix-vessels", f"crossfix-sightings-{BUNDLE}"):
            stub.answers[f"GET /collections/{name}/exists"] = (401, None)
        with pytest.raises(StoreUnavailableError, match="CROSSFIX_QDRANT_API_KEY"):
            gallery_at(stub.url, api_key="s3cret").ping()
        assert stub.requests[0][1]["api-key"] == "s3cret"

    def test_a_full_disk_is_reported(self, stub: Stub) -> None:
        answer_as_prepared(stub)
        full = {"error": "Service internal error: No space left on device"}
        stub.answers["PUT /collections/crossfix-vessels/points"] = (500, full)
        with pytest.raises(StoreFullError, match="disk"):
            gallery_at(stub.url).put_vessel(make_vessel())

    def test_a_failed_write_is_not_acknowledged(self, stub: Stub) -> None:
        answer_as_prepared(stub)
        stub.answers["PUT /collections/crossfix-vessels/points"] = (503, None)
        with pytest.raises(StoreUnavailableError, match="503"):
            gallery_at(stub.url).put_vessel(make_vessel())
