"""Connections to the stores check certificates, and take those of a private authority."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from qdrant_client.http.exceptions import ResponseHandlingException

from service.identity.errors import StoreUnavailableError
from service.storage.redis.link import RedisLink, RedisUnavailableError
from service.storage.s3.bucket import Bucket
from service.storage.server.connection import connect
from tests.support.doubles.bucket import running_bucket_store
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.doubles.tls_front import Certificate, Connect, new_certificate, tls_front
from tests.support.processes.redis_server import running_redis

AUTHORITIES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Store:
    """A store that speaks plainly, and how the service reaches it through a port with TLS.

    Attributes:
        connect: opens a connection to the store.
        use: sends one request to the host and port.
        authority: the variable that names the authority's file.
        refusal: what `use` raises when the certificate is not believed.
    """

    connect: Connect
    use: Callable[[str, int], object]
    authority: str
    refusal: type[Exception]


def at_port(port: int) -> Connect:
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=10)


def use_qdrant(host: str, port: int) -> None:
    with closing(connect(f"https://{host}:{port}", None, 5.0)) as client:
        client.get_collections()


def use_redis(host: str, port: int, options: str = "") -> None:
    with closing(RedisLink(f"rediss://{host}:{port}/0{options}", timeout_s=5.0)) as link:
        link.run(lambda client: client.ping())


@pytest.fixture
def qdrant() -> Iterator[Store]:
    with running_qdrant() as double:
        yield Store(at_port(double.port), use_qdrant, AUTHORITIES[0], ResponseHandlingException)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Store]:
    def connect_plainly() -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(server.url.removeprefix("unix://"))
        return plain

    with running_redis(tmp_path) as server:
        yield Store(connect_plainly, use_redis, AUTHORITIES[0], RedisUnavailableError)


@pytest.fixture
def bucket() -> Iterator[Store]:
    def use(host: str, port: int) -> None:
        place = double.place(name, endpoint_url=f"https://{host}:{port}", timeout_s=5.0)
        with closing(Bucket(place)) as opened:
            opened.ping()

    with running_bucket_store() as double:
        name = double.new_bucket()
        yield Store(at_port(double.port), use, AUTHORITIES[1], StoreUnavailableError)


@pytest.fixture(params=["qdrant", "redis", "bucket"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return new_certificate(tmp_path, "IP:127.0.0.1")


def test_the_certificate_of_a_private_authority_is_believed_if_its_file_is_named(
    store: Store, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_front(certificate, store.connect) as port:
        with pytest.raises(store.refusal, match=r"(?i)certificate"):
            store.use("127.0.0.1", port)
        monkeypatch.setenv(store.authority, str(certificate.path))
        store.use("127.0.0.1", port)


def test_a_certificate_of_another_host_is_refused(
    store: Store, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.authority, str(certificate.path))
    refused = pytest.raises(store.refusal, match=r"(?i)certificate|hostname")
    with tls_front(certificate, store.connect) as port, refused:
        store.use("localhost", port)


def test_the_address_of_redis_may_name_the_authority(
    redis: Store, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with tls_front(certificate, redis.connect) as port:
        use_redis("127.0.0.1", port, f"?ssl_ca_certs={certificate.path}")
