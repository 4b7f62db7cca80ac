"""Chips in a bucket: damage, and every kind of failure of the store."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from service.contract.errors import CrossfixError
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.storage.s3 import bucket as s3_bucket
from service.storage.s3.bucket import Bucket, BucketPlace
from service.storage.s3.chips import BucketChipStore
from tests.support.doubles.bucket import BucketDouble, running_bucket_store
from tests.support.doubles.proxy import Fault, FaultyProxy, running_proxy
from tests.support.processes.service_process import free_port

DATA = b"radar amplitudes" * 4096
TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def store() -> Iterator[BucketDouble]:
    with running_bucket_store() as double:
        yield double


@pytest.fixture(scope="module")
def proxy(store: BucketDouble) -> Iterator[FaultyProxy]:
    with running_proxy(("127.0.0.1", store.port)) as between:
        yield between


@pytest.fixture(scope="module")
def name(store: BucketDouble) -> str:
    return store.new_bucket()


@pytest.fixture(scope="module")
def opened(proxy: FaultyProxy, name: str) -> Iterator[BucketChipStore]:
    """A chip store behind the proxy, which sends each request at most twice."""
    place = BucketDouble(proxy.port).place(name, timeout_s=TIMEOUT_S, tries=2)
    chips = BucketChipStore(Bucket(place))
    yield chips
    chips.close()


@pytest.fixture
def chips(opened: BucketChipStore, proxy: FaultyProxy) -> Iterator[BucketChipStore]:
    yield opened
    proxy.heal()


def error_response(status: int, code: str, message: str = "set by the test") -> Fault:
    """Return an error response of S3."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    ).encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    return Fault(code, answer=head.encode() + b"\r\nConnection: close\r\n\r\n" + body)


CALLS: dict[str, Callable[[BucketChipStore, str], object]] = {
    "put": lambda chips, _: chips.put(DATA),
    "get": lambda chips, digest: chips.get(digest),
    "delete": lambda chips, _: chips.delete("0" * 64),
    "stored": lambda chips, _: list(chips.stored()),
    "stored_at": lambda chips, digest: chips.stored_at(digest),
    "ping": lambda chips, _: chips.ping(),
}
OUTAGES = [
    Fault("refused", refuse=True),
    Fault("silent", silent=True),
    error_response(500, "InternalError"),
    error_response(503, "SlowDown"),
    Fault("garbage", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<nonsense"),
    Fault("no HTTP", answer=b"SSH-2.0-OpenSSH_9.6\r\n"),
    error_response(403, "AccessDenied"),
    error_response(403, "InvalidAccessKeyId"),
    error_response(400, "ExpiredToken"),
]
BARE_SUCCESS = Fault("bare success", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


# A ping is a HEAD request, whose response has no body that could be garbage.
UNDETECTED = [("garbage", "ping")]
CASES = [
    pytest.param(fault, call, id=f"{fault.name}-{call}")
    for fault in OUTAGES
    for call in CALLS
    if (fault.name, call) not in UNDETECTED
]


@pytest.mark.parametrize(("fault", "call"), CASES)
def test_an_outage_is_reported_in_time_and_the_store_recovers(
    chips: BucketChipStore, proxy: FaultyProxy, fault: Fault, call: str
) -> None:
    digest = chips.put(DATA)
    proxy.inject(fault)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        CALLS[call](chips, digest)
    assert time.monotonic() - began < 2 * (2 * TIMEOUT_S) + 4
    proxy.heal()
    assert chips.get(chips.put(DATA)) == DATA
    chips.ping()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (507, "XMinioStorageFull"),
        (507, "anything"),
        (400, "XMinioAdminBucketQuotaExceeded"),
        (403, "QuotaExceeded"),
    ],
)
def test_a_full_store_is_distinguished_from_a_refusal(
    chips: BucketChipStore, proxy: FaultyProxy, status: int, code: str
) -> None:
    proxy.inject(error_response(status, code))
    with pytest.raises(StoreFullError, match=f"full, it says {code}"):
        chips.put(DATA)


def test_a_success_without_an_etag_is_an_error(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    """A server that is no S3 store may respond so."""
    proxy.inject(BARE_SUCCESS)
    with pytest.raises(StoreUnavailableError, match="is this an S3 store"):
        chips.put(DATA)


def test_a_refusal_says_what_to_check(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    proxy.inject(error_response(403, "SignatureDoesNotMatch"))
    with pytest.raises(StoreUnavailableError, match=r"SignatureDoesNotMatch.*check the access key"):
        chips.put(DATA)


def test_a_slow_response_is_awaited(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.inject(Fault(delay_s=0.3 * TIMEOUT_S))
    assert chips.get(digest) == DATA


def test_a_brief_failure_is_retried(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.inject(replace(error_response(503, "SlowDown"), once=True))
    before = proxy.accepted
    assert chips.get(digest) == DATA
    assert proxy.accepted > before


def test_a_reset_response_is_an_error(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.inject(Fault(cut_after=20_000))
    with pytest.raises(StoreUnavailableError, match="read chips/"):
        chips.get(digest)


def test_a_truncated_response_is_an_error(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n"
    proxy.inject(Fault(answer=head + DATA[:1000]))
    with pytest.raises(StoreUnavailableError):
        chips.get(digest)


@pytest.mark.parametrize("damage", [b"", DATA[:-1], b"x" * len(DATA)])
def test_damage_is_detected_and_repaired_by_a_new_upload(
    chips: BucketChipStore, store: BucketDouble, name: str, damage: bytes
) -> None:
    digest = chips.put(DATA)
    client = store.client()
    client.put_object(Bucket=name, Key=f"chips/{digest}", Body=damage)
    client.close()
    with pytest.raises(StoreUnavailableError, match="have changed in the bucket"):
        chips.get(digest)
    chips.put(DATA)
    assert chips.get(digest) == DATA


def test_a_chip_is_sent_with_its_md5_and_readiness_only_reads(
    store: BucketDouble, name: str
) -> None:
    bucket = Bucket(store.place(name))
    sent: list[tuple[str, str]] = []

    def note(request: Any, **_: object) -> None:
        sent.append((request.method, str(request.headers.get("Content-MD5", b""), "ascii")))

    for client in (bucket._client, bucket._prober):
        client.meta.events.register("before-send.s3", note)
    chips = BucketChipStore(bucket)
    chips.put(DATA + b"sent with its MD5")
    md5 = hashlib.md5(DATA + b"sent with its MD5", usedforsecurity=False).digest()
    assert ("PUT", base64.b64encode(md5).decode()) in sent
    sent.clear()
    chips.ping()
    assert sent == [("HEAD", "")]
    chips.close()


def test_another_store_on_the_bucket_finds_the_chip(
    chips: BucketChipStore, store: BucketDouble, name: str
) -> None:
    digest = chips.put(b"a chip")
    other = BucketChipStore(Bucket(store.place(name)))
    elsewhere = BucketChipStore(Bucket(store.place(name, prefix="elsewhere/")))
    assert other.get(digest) == b"a chip"
    with pytest.raises(NotFoundError):
        elsewhere.get(digest)
    assert list(elsewhere.stored()) == []
    other.close()
    elsewhere.close()


def test_long_lists_are_read_in_pages(
    chips: BucketChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {chips.put(b"%d" % number) for number in range(7)}
    monkeypatch.setattr(s3_bucket, "PAGE_SIZE", 2)
    listed = [one.sha256 for one in chips.stored()]
    assert digests <= set(listed)
    assert len(listed) == len(set(listed))


def unusable_places(store: BucketDouble) -> dict[str, BucketPlace]:
    return {
        "no such bucket": store.place("nowhere-at-all"),
        "no server": store.place("ships", endpoint_url=f"http://127.0.0.1:{free_port()}"),
        "no such host": store.place("ships", endpoint_url="http://store.invalid"),
    }


@pytest.mark.parametrize("kind", ["no such bucket", "no server", "no such host"])
def test_an_unusable_place_is_reported(store: BucketDouble, kind: str) -> None:
    chips = BucketChipStore(Bucket(unusable_places(store)[kind]))
    with pytest.raises(StoreUnavailableError, match=r"bucket (nowhere-at-all|ships)") as caught:
        chips.ping()
    assert (kind == "no such bucket") == ("check CROSSFIX_S3_BUCKET" in str(caught.value))
    chips.close()


def test_no_error_shows_the_secret(store: BucketDouble) -> None:
    place = store.place("nowhere-at-all")
    assert "a-secret-key" not in repr(place)
    chips = BucketChipStore(Bucket(place))
    with pytest.raises(CrossfixError) as caught:
        chips.put(DATA)
    assert "a-secret-key" not in str(caught.value)
    chips.close()
