"""A Qdrant server for tests: the part of its REST API that the service uses, over HTTP.

Points, filters and searches are those of the local mode of qdrant-client. Only paths, envelopes and
the list of payload indexes, which local mode does not keep, are implemented here.
`python -m tests.support.doubles.qdrant_http` prints its address and runs until its input ends.
"""

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

Body = bytes
Double = TypeVar("Double", bound="QdrantDouble")
Handler = Callable[["QdrantDouble", str, Body], object]

SELECTOR: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)
DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


class RefusedError(Exception):
    """A response other than a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StoredAs:
    """Settings of a collection that local mode does not keep."""

    on_disk_payload: bool = False
    vectors_on_disk: bool = False
    replication_factor: int = 1
    write_consistency_factor: int = 1


class QdrantDouble(ThreadingHTTPServer):
    """A server in this process, with its data in memory.

    Attributes:
        before: called with the kind of each request, e.g. `PUT points`, before it is executed; it
            may raise RefusedError.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api_key: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api_key = api_key
        self.before: Callable[[str], None] = lambda _: None
        self.store = QdrantClient(":memory:")
        self.stored_as: dict[str, StoredAs] = defaultdict(StoredAs)
        self.indexes: dict[str, dict[str, models.PayloadIndexInfo]] = defaultdict(dict)
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return self.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, body: Body) -> object:
        """Execute one request and return its result; a lock protects local mode from threads.

        Raises:
            RefusedError: the request fails.
            ConnectionError: the connection is closed without an answer.
        """
        kind, collection = route(path.partition("?")[0])
        request = f"{method} {kind}"
        handler = HANDLERS.get(request)
        if handler is None:
            raise RefusedError(404, f"the double does not know {method} {path}")
        with self._lock:
            self.before(request)
            if collection and request not in MAY_BE_MISSING:
                self.require(collection)
            try:
                return handler(self, collection, body)
            except ValidationError as error:
                raise RefusedError(400, f"Format error in JSON body: {error}") from error
            except ValueError as error:
                raise RefusedError(400, str(error)) from error

    def require(self, collection: str) -> None:
        if not self.store.collection_exists(collection):
            raise RefusedError(404, f"Not found: Collection `{collection}` doesn't exist!")

    def server_close(self) -> None:
        super().server_close()
        self.store.close()


@contextmanager
def running_qdrant(api_key: str | None = None) -> Iterator[QdrantDouble]:
    """Run a double on a free port until the end of the block."""
    with serving(QdrantDouble(api_key)) as double:
        yield double


@contextmanager
def serving(double: Double) -> Iterator[Double]:
    """Serve requests to a double until the end of the block."""
    thread = threading.Thread(target=double.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        double.shutdown()
        thread.join()
        double.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: QdrantDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        key = self.server.api_key
        if key is not None and self.headers.get("api-key") != key:
            self._reply(401, {"status": {"error": "Must provide an API key"}, "time": 0.0})
            return
        try:
            result = self.server.answer(self.command, self.path, body)
        except ConnectionError:
            self.close_connection = True
            return
        except RefusedError as refusal:
            self._reply(refusal.status, {"status": {"error": str(refusal)}, "time": 0.0})
            return
        self._reply(200, {"result": _plain(result), "status": "ok", "time": 0.0})

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def _reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def route(path: str) -> tuple[str, str]:
    """Split a path: `/collections/ships/points/count` -> (`points/count`, `ships`)."""
    parts = path.strip("/").split("/")
    if parts in (["aliases"], ["cluster"], ["collections"], ["collections", "aliases"]):
        return "/".join(parts), ""
    if len(parts) < 2 or parts[0] != "collections":
        return path, ""
    return "/".join(parts[2:]) or "collection", parts[1]


def _plain(result: object) -> object:
    """Return JSON values with every null: the client distinguishes null from absent."""
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if isinstance(result, list):
        return [_plain(one) for one in result]
    return result


def _collections(double: QdrantDouble, _collection: str, _body: Body) -> object:
    return double.store.get_collections()


def _exists(double: QdrantDouble, collection: str, _body: Body) -> object:
    return {"exists": double.store.collection_exists(collection)}


def _info(double: QdrantDouble, collection: str, _body: Body) -> object:
    info = double.store.get_collection(collection)
    kept = double.stored_as[collection]
    factors = {
        "replication_factor": kept.replication_factor,
        "write_consistency_factor": kept.write_consistency_factor,
    }
    params = info.config.params.model_copy(update=factors)
    config = info.config.model_copy(update={"params": params})
    indexes = dict(double.indexes[collection])
    return info.model_copy(update={"config": config, "payload_schema": indexes})


def _update(double: QdrantDouble, collection: str, body: Body) -> object:
    params = models.UpdateCollection.model_validate_json(body).params
    assert params is not None
    for name, value in params.model_dump(exclude_none=True).items():
        setattr(double.stored_as[collection], name, value)
    return True


def _cluster(double: QdrantDouble, _collection: str, _body: Body) -> object:
    return {"status": "disabled"}


def _create(double: QdrantDouble, collection: str, body: Body) -> object:
    if double.store.collection_exists(collection):
        raise RefusedError(409, f"Wrong input: Collection `{collection}` already exists!")
    request = models.CreateCollection.model_validate_json(body)
    double.stored_as[collection] = StoredAs(
        on_disk_payload=bool(request.on_disk_payload),
        vectors_on_disk=bool(getattr(request.vectors, "on_disk", False)),
    )
    return double.store.create_collection(collection, vectors_config=request.vectors or {})


def _delete_collection(double: QdrantDouble, collection: str, _body: Body) -> object:
    double.indexes.pop(collection, None)
    return double.store.delete_collection(collection)


def _index(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.CreateFieldIndex.model_validate_json(body)
    schema = request.field_schema
    kind = models.PayloadSchemaType(getattr(schema, "type", schema))
    double.indexes[collection][request.field_name] = models.PayloadIndexInfo(
        data_type=kind, points=0
    )
    return DONE


def _aliases(double: QdrantDouble, _collection: str, _body: Body) -> object:
    return double.store.get_aliases()


def _change_aliases(double: QdrantDouble, _collection: str, body: Body) -> object:
    changes = models.ChangeAliasesOperation.model_validate_json(body)
    return double.store.update_collection_aliases(changes.actions)


def _upsert(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.PointsList.model_validate_json(body)
    return double.store.upsert(
        collection,
        request.points,
        update_filter=request.update_filter,
        update_mode=request.update_mode,
    )


def _retrieve(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.PointRequest.model_validate_json(body)
    return double.store.retrieve(
        collection,
        request.ids,
        with_payload=True if request.with_payload is None else request.with_payload,
        with_vectors=request.with_vector or False,
    )


def _scroll(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.ScrollRequest.model_validate_json(body)
    points, next_offset = double.store.scroll(
        collection,
        scroll_filter=request.filter,
        limit=request.limit or 10,
        offset=request.offset,
        with_payload=True if request.with_payload is None else request.with_payload,
        with_vectors=request.with_vector or False,
    )
    return models.ScrollResult(points=points, next_page_offset=next_offset)


def _count(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.CountRequest.model_validate_json(body)
    return double.store.count(collection, count_filter=request.filter)


def _facet(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.FacetRequest.model_validate_json(body)
    limit = request.limit or 10
    return double.store.facet(collection, request.key, facet_filter=request.filter, limit=limit)


def _delete(double: QdrantDouble, collection: str, body: Body) -> object:
    return double.store.delete(collection, SELECTOR.validate_json(body))


def _set_payload(double: QdrantDouble, collection: str, body: Body) -> object:
    request = models.SetPayload.model_validate_json(body)
    points: Any = request.filter if request.points is None else request.points
    return double.store.set_payload(collection, request.payload, points=points)


def _query_batch(double: QdrantDouble, collection: str, body: Body) -> object:
    requests = models.QueryRequestBatch.model_validate_json(body).searches
    # Local mode compares all vectors exactly, and warns of parameters for an index.
    exact = [one.model_copy(update={"params": None}) for one in requests]
    return double.store.query_batch_points(collection, exact)


HANDLERS: dict[str, Handler] = {
    "GET collections": _collections,
    "GET exists": _exists,
    "GET collection": _info,
    "GET cluster": _cluster,
    "PUT collection": _create,
    "PATCH collection": _update,
    "DELETE collection": _delete_collection,
    "PUT index": _index,
    "GET aliases": _aliases,
    "POST collections/aliases": _change_aliases,
    "PUT points": _upsert,
    "POST points": _retrieve,
    "POST points/scroll": _scroll,
    "POST points/count": _count,
    "POST facet": _facet,
    "POST points/delete": _delete,
    "POST points/payload": _set_payload,
    "POST points/query/batch": _query_batch,
}
MAY_BE_MISSING = frozenset({"GET exists", "PUT collection", "DELETE collection"})


if __name__ == "__main__":
    with running_qdrant() as running:
        print(running.url, flush=True)
        sys.stdin.read()
