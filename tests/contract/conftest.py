"""Fixtures of several contract suites: a real Redis, and a gallery on each storage."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from service.identity.ports.gallery import Gallery
from service.storage.redis.link import RedisLink
from service.storage.server.connection import ServerConnection
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.chips import FakeChipStore
from tests.support.galleries import GALLERY_KINDS, open_gallery
from tests.support.processes.redis_server import RedisServer, running_redis
from tests.support.real_qdrant import REAL_KINDS, real_server
from tests.support.stores import Site


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def link(server: RedisServer) -> Iterator[RedisLink]:
    """A link to the server, which was emptied."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    one = RedisLink(server.url, timeout_s=5)
    yield one
    one.close()


@pytest.fixture(params=["edge", "http", *REAL_KINDS])
def site(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[Site]:
    if request.param == "http":
        with running_qdrant() as double:
            yield Site(request.param, quick_folder, lambda: ServerConnection(double.url))
    elif request.param in REAL_KINDS:
        with real_server() as (connect, prefix):
            yield Site(request.param, quick_folder, connect, prefix)
    else:
        yield Site(request.param, quick_folder)


@pytest.fixture(params=GALLERY_KINDS)
def gallery(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[Gallery]:
    with open_gallery(request.param, quick_folder) as opened:
        yield opened


@pytest.fixture
def chips() -> FakeChipStore:
    return FakeChipStore()


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Site]:
    """Makes an empty place of the given kind."""

    def make(kind: str) -> Site:
        return Site(kind, tmp_path / uuid4().hex)

    return make
