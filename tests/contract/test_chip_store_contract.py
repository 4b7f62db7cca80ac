"""What every `ChipStore` does, run on the fake and on the folder."""

import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.identity.errors import NotFoundError
from service.identity.ports import ChipStore
from service.storage.chips import FolderChipStore
from tests.fakes.chips import FakeChipStore

UNKNOWN = "0" * 64
MALFORMED = ["", "abc", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "../../etc/passwd", "0" * 64 + "\n"]


@pytest.fixture(params=["fake", "folder"])
def chips(request: pytest.FixtureRequest, quick_folder: Path) -> ChipStore:
    if request.param == "fake":
        return FakeChipStore()
    return FolderChipStore(quick_folder / "chips")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_ping(chips: ChipStore) -> None:
    chips.ping()
