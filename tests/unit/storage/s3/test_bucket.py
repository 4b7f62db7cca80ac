"""What only a bucket does: damage, a store that fails in every way, and how that is named."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from service.contract.errors import CrossfixError
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.storage.s3 import bucket as s3_bucket
from service.storage.s3.bucket import Bucket, BucketPlace
from service.storage.s3.chips import BucketChipStore
from tests.support.doubles.bucket import BucketDouble, running_bucket_store
from tests.support.doubles.proxy import Fault, FaultyProxy, running_proxy
from tests.support.service_process import free_port

DATA = b"radar amplitudes" * 4096
PATIENCE_S = 1.0


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
def opened(store: BucketDouble, proxy: FaultyProxy, name: str) -> Iterator[BucketChipStore]:
    """Chips behind the proxy; each request is sent twice at most."""
    place = BucketDouble(proxy.port).place(name, timeout_s=PATIENCE_S, tries=2)
    chips = BucketChipStore(Bucket(place))
    yield chips
    chips.close()


@pytest.fixture
def chips(opened: BucketChipStore, proxy: FaultyProxy) -> Iterator[BucketChipStore]:
    yield opened
    proxy.heal()


def answer(status: int, code: str, message: str = "as a test wants it") -> Fault:
    """What S3 says when it refuses."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    ).encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    return Fault(code, answer=head.encode() + b"\r\nConnection: close\r\n\r\n" + body)


ASKED: dict[str, Callable[[BucketChipStore, str], object]] = {
    "put": lambda chips, digest: chips.put(DATA),
    "get": lambda chips, digest: chips.get(digest),
    "delete": lambda chips, digest: chips.delete("0" * 64),
    "stored": lambda chips, digest: list(chips.stored()),
    "stored_at": lambda chips, digest: chips.stored_at(digest),
    "ping": lambda chips, digest: chips.ping(),
}
AWAY = [
    Fault("gone", refuse=True),
    Fault("silent", silent=True),
    answer(500, "InternalError"),
    answer(503, "SlowDown"),
    Fault("garbage", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<nonsense"),
    Fault("no HTTP", answer=b"SSH-2.0-OpenSSH_9.6\r\n"),
    answer(403, "AccessDenied"),
    answer(403, "InvalidAccessKeyId"),
    answer(400, "ExpiredToken"),
]
ACCEPTED = Fault("accepted", answer=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


# A ping is a HEAD, whose answer has no body that could be nonsense; of what is read as a chip,
# nonsense is a damaged one.
UNTOLD = [("garbage", "ping"), ("garbage", "in_place"), ("garbage", "bring_back")]
CASES = [
    pytest.param(fault, asked, id=f"{fault.name}-{asked}")
    for fault in AWAY
    for asked in ASKED
    if (fault.name, asked) not in UNTOLD
]


@pytest.mark.parametrize(("fault", "asked"), CASES)
def test_whatever_the_store_does_it_is_unavailable_in_time_and_recovers(
    chips: BucketChipStore, proxy: FaultyProxy, fault: Fault, asked: str
) -> None:
    digest = chips.put(DATA)
    proxy.suffer(fault)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        ASKED[asked](chips, digest)
    assert time.monotonic() - began < 2 * (2 * PATIENCE_S) + 4
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
def test_a_full_store_is_told_from_a_refusing_one(
    chips: BucketChipStore, proxy: FaultyProxy, status: int, code: str
) -> None:
    proxy.suffer(answer(status, code))
    with pytest.raises(StoreFullError, match=f"full, it says {code}"):
        chips.put(DATA)


def test_a_bare_success_is_not_believed(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    """As something that is no S3 store would give."""
    proxy.suffer(ACCEPTED)
    with pytest.raises(StoreUnavailableError, match="is this an S3 store"):
        chips.put(DATA)


def test_a_refusal_names_what_to_check(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    proxy.suffer(answer(403, "SignatureDoesNotMatch"))
    with pytest.raises(StoreUnavailableError, match=r"SignatureDoesNotMatch.*check the access key"):
        chips.put(DATA)


def test_a_slow_answer_is_waited_for(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.suffer(Fault(delay_s=0.3 * PATIENCE_S))
    assert chips.get(digest) == DATA


def test_a_failure_of_a_moment_is_not_noticed(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.suffer(answer(503, "SlowDown"))
    before = proxy.accepted

    def heal_after_the_first_try() -> None:
        while proxy.accepted == before:
            time.sleep(0.01)
        time.sleep(0.05)
        proxy.heal()

    healer = threading.Thread(target=heal_after_the_first_try)
    healer.start()
    assert chips.get(digest) == DATA
    healer.join()


def test_an_answer_cut_short_is_no_chip(chips: BucketChipStore, proxy: FaultyProxy) -> None:
    digest = chips.put(DATA)
    proxy.suffer(Fault(cut_after=20_000))
    with pytest.raises(StoreUnavailableError, match="read chips/"):
        chips.get(digest)


def test_a_short_answer_that_ends_politely_is_no_chip(
    chips: BucketChipStore, proxy: FaultyProxy
) -> None:
    digest = chips.put(DATA)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n"
    proxy.suffer(Fault(answer=head + DATA[:1000]))
    with pytest.raises(StoreUnavailableError):
        chips.get(digest)


@pytest.mark.parametrize("damage", [b"", DATA[:-1], b"x" * len(DATA)])
def test_damaged_bytes_are_noticed_and_a_new_upload_heals_them(
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


def test_another_store_on_the_bucket_finds_them(
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


def test_long_lists_come_in_pages(chips: BucketChipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {chips.put(b"%d" % number) for number in range(7)}
    monkeypatch.setattr(s3_bucket, "PAGE_SIZE", 2)
    listed = [one.sha256 for one in chips.stored()]
    assert digests <= set(listed)
    assert len(listed) == len(set(listed))


def unusable(store: BucketDouble) -> dict[str, BucketPlace]:
    return {
        "no such bucket": store.place("nowhere-at-all"),
        "nobody listens": store.place("ships", endpoint_url=f"http://127.0.0.1:{free_port()}"),
        "no such host": store.place("ships", endpoint_url="http://store.invalid"),
    }


@pytest.mark.parametrize("kind", ["no such bucket", "nobody listens", "no such host"])
def test_a_wrong_place_is_named(store: BucketDouble, kind: str) -> None:
    chips = BucketChipStore(Bucket(unusable(store)[kind]))
    with pytest.raises(StoreUnavailableError, match=r"bucket (nowhere-at-all|ships)") as told:
        chips.ping()
    assert (kind == "no such bucket") == ("check CROSSFIX_S3_BUCKET" in str(told.value))
    chips.close()


def test_no_error_shows_the_secret(store: BucketDouble) -> None:
    place = store.place("nowhere-at-all")
    assert "a-secret-key" not in repr(place)
    chips = BucketChipStore(Bucket(place))
    with pytest.raises(CrossfixError) as told:
        chips.put(DATA)
    assert "a-secret-key" not in str(told.value)
    chips.close()
