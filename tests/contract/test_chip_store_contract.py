"""What every `ChipStore` does: the fake, the folder and the bucket."""

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from service.identity.errors import NotFoundError
from service.identity.ports.chips import ChipStore
from service.storage.local.chips import FolderChipStore
from service.storage.s3.bucket import Bucket
from service.storage.s3.chips import BucketChipStore
from tests.support.doubles.bucket import running_bucket_store
from tests.support.fakes.chips import FakeChipStore

UNKNOWN = "0" * 64
MALFORMED = ["", "abc", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "../../etc/passwd", "0" * 64 + "\n"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketChipStore]:
    with running_bucket_store() as double:
        place = double.place(double.new_bucket(), prefix="of/ships/", timeout_s=20.0)
        chips = BucketChipStore(Bucket(place))
        yield chips
        chips.close()


@pytest.fixture(params=["fake", "folder", "bucket"])
def chips(
    request: pytest.FixtureRequest, quick_folder: Path, bucket: BucketChipStore
) -> Iterator[ChipStore]:
    """An empty store."""
    if request.param == "fake":
        yield FakeChipStore()
    elif request.param == "folder":
        yield FolderChipStore(quick_folder / "chips")
    else:
        yield bucket
        for one in list(bucket.stored()):
            bucket.delete(one.sha256)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=5000))
def test_bytes_are_read_back_by_their_digest(chips: ChipStore, data: bytes) -> None:
    digest = chips.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert chips.get(digest) == data


def test_a_large_chip_is_read_back(chips: ChipStore) -> None:
    data = bytes(range(256)) * 40_000
    assert chips.get(chips.put(data)) == data


def test_repeating_a_put_changes_nothing(chips: ChipStore) -> None:
    assert chips.put(b"chip") == chips.put(b"chip")
    chips.delete(chips.put(b"chip"))
    with pytest.raises(NotFoundError):
        chips.get(hashlib.sha256(b"chip").hexdigest())


def test_several_chips_are_stored_at_once(chips: ChipStore) -> None:
    files = [b"first", b"second", b"first"]
    digests = chips.put_all(iter(files))
    assert [chips.get(digest) for digest in digests] == files
    assert len(list(chips.stored())) == 2


def test_an_unknown_chip_is_reported_by_its_digest(chips: ChipStore) -> None:
    with pytest.raises(NotFoundError, match=UNKNOWN):
        chips.get(UNKNOWN)
    chips.delete(UNKNOWN)


@pytest.mark.parametrize("digest", MALFORMED)
def test_a_malformed_digest_is_not_found(chips: ChipStore, digest: str) -> None:
    with pytest.raises(NotFoundError):
        chips.get(digest)
    with pytest.raises(NotFoundError):
        chips.delete(digest)


def test_deleting_a_chip_leaves_the_others(chips: ChipStore) -> None:
    first, second = chips.put(b"first"), chips.put(b"second")
    chips.delete(second)
    chips.delete(second)
    assert chips.get(first) == b"first"


def test_many_threads_put_the_same_chips(chips: ChipStore) -> None:
    digests: list[str] = []

    def work() -> None:
        digests.extend(chips.put(b"%d" % i) for i in range(20))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 120
    assert sorted(chips.get(d) for d in set(digests)) == sorted(b"%d" % i for i in range(20))


def test_every_stored_chip_is_listed_once(chips: ChipStore) -> None:
    sizes = {chips.put(b"x" * length): length for length in range(20)}
    chips.put(b"x" * 7)
    chips.delete(chips.put(b"deleted"))
    listed = list(chips.stored())
    assert {one.sha256: one.size_bytes for one in listed} == sizes
    assert len(listed) == len(sizes)


def test_the_time_of_a_chip_is_that_of_its_last_put(chips: ChipStore) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    digest = chips.put(b"chip")
    first = chips.stored_at(digest)
    assert began <= first <= datetime.now(UTC) + timedelta(seconds=1)
    assert [one.stored_at for one in chips.stored()] == [first]
    time.sleep(1.1)
    chips.put(b"chip")
    assert chips.stored_at(digest) > first
    with pytest.raises(NotFoundError, match=UNKNOWN):
        chips.stored_at(UNKNOWN)


def test_ping_reaches_the_store(chips: ChipStore) -> None:
    chips.ping()
