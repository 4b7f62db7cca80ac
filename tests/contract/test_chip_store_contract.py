"""What every `ChipStore` does, run on the fake, on the folder and on a bucket."""

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
def test_bytes_come_back_by_their_digest(chips: ChipStore, data: bytes) -> None:
    digest = chips.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert chips.get(digest) == data


def test_a_large_chip_comes_back(chips: ChipStore) -> None:
    data = bytes(range(256)) * 40_000
    assert chips.get(chips.put(data)) == data


def test_repeating_a_put_changes_nothing(chips: ChipStore) -> None:
    assert chips.put(b"chip") == chips.put(b"chip")
    chips.delete(chips.put(b"chip"))
    with pytest.raises(NotFoundError):
        chips.get(hashlib.sha256(b"chip").hexdigest())


def test_unknown_chips_are_named(chips: ChipStore) -> None:
    with pytest.raises(NotFoundError, match=UNKNOWN):
        chips.get(UNKNOWN)
    chips.delete(UNKNOWN)


@pytest.mark.parametrize("digest", MALFORMED)
def test_a_malformed_digest_names_no_chip(chips: ChipStore, digest: str) -> None:
    with pytest.raises(NotFoundError):
        chips.get(digest)
    with pytest.raises(NotFoundError):
        chips.delete(digest)


def test_deleting_one_leaves_the_others(chips: ChipStore) -> None:
    kept, gone = chips.put(b"kept"), chips.put(b"gone")
    chips.delete(gone)
    chips.delete(gone)
    assert chips.get(kept) == b"kept"


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


def test_all_that_is_kept_is_listed_once(chips: ChipStore) -> None:
    sizes = {chips.put(b"x" * length): length for length in range(20)}
    chips.put(b"x" * 7)
    gone = chips.put(b"gone")
    chips.delete(gone)
    listed = list(chips.stored())
    assert {one.sha256: one.size_bytes for one in listed} == sizes
    assert len(listed) == len(sizes)


def test_times_are_those_of_the_last_put(chips: ChipStore) -> None:
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


def test_ping(chips: ChipStore) -> None:
    chips.ping()
