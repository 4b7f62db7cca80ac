"""A real Redis for the contracts that are kept with it and without it."""

from collections.abc import Iterator

import pytest
import redis

from service.storage.redis_link import RedisLink
from tests.redis_server import RedisServer, running_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def link(server: RedisServer) -> Iterator[RedisLink]:
    """A link to the server, which is empty."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    one = RedisLink(server.url, timeout_s=5)
    yield one
    one.close()
