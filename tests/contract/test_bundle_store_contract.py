"""What every `BundleStore` does, in a folder and in a bucket."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.contract.bundle import Bundle, open_bundle
from service.contract.errors import BundleError
from service.identity.errors import StoreUnavailableError
from service.identity.ports.bundles import BundleStore
from service.settings import SHIPPED_BUNDLE
from service.storage.local.bundles import FolderBundleStore
from service.storage.s3.bucket import Bucket
from service.storage.s3.bundles import BucketBundleStore
from tests.support.doubles.bucket import BucketDouble, running_bucket_store
from tests.support.training.second_bundle import second_bundle

Open = Callable[[str], BundleStore]
"""Opens the same store from the machine of that name."""


@pytest.fixture(scope="module")
def store() -> Iterator[BucketDouble]:
    with running_bucket_store() as double:
        yield double


@pytest.fixture(params=["folder", "bucket"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, store: BucketDouble) -> Iterator[Open]:
    name = store.new_bucket()
    opened: list[BundleStore] = []

    def open_bundle_store(machine: str) -> BundleStore:
        if request.param == "folder":
            opened.append(FolderBundleStore(tmp_path / "shared"))
        else:
            place = store.place(name, prefix="crossfix/", timeout_s=20.0)
            opened.append(BucketBundleStore(Bucket(place), tmp_path / machine))
        return opened[-1]

    yield open_bundle_store
    for bundle_store in opened:
        bundle_store.close()


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return open_bundle(SHIPPED_BUNDLE)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bundle_is_found_on_another_machine(machine: Open, shipped: Bundle) -> None:
    here = machine("here")
    assert here.ids() == []
    assert here.find(shipped.bundle_id) is None
    here.put(shipped)
    here.put(shipped)
    there = machine("there")
    assert there.ids() == [shipped.bundle_id]
    for bundle_store in (there, here):
        found = bundle_store.find(shipped.bundle_id)
        assert found is not None
        assert files(found) == files(SHIPPED_BUNDLE)


def test_several_bundles_can_be_installed(machine: Open, shipped: Bundle, tmp_path: Path) -> None:
    bundle_store, second = machine("here"), second_bundle(tmp_path / "second")
    for bundle in (shipped, second):
        bundle_store.put(bundle)
    assert bundle_store.ids() == sorted([shipped.bundle_id, second.bundle_id])
    found = bundle_store.find(second.bundle_id)
    assert found is not None
    assert open_bundle(found).manifest.name == "second"


def test_a_failed_installation_leaves_no_files(
    tmp_path: Path, shipped: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle_store = FolderBundleStore(tmp_path / "bundles")

    def copy_half_and_fail(source: Path, copied: Path) -> None:
        copied.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy_half_and_fail)
        with pytest.raises(StoreUnavailableError, match="install bundle"):
            bundle_store.put(shipped)
    assert list((tmp_path / "bundles").iterdir()) == []
    bundle_store.put(shipped)
    assert bundle_store.ids() == [shipped.bundle_id]


def test_a_damaged_bundle_is_rejected(tmp_path: Path, shipped: Bundle) -> None:
    bundle_store = FolderBundleStore(tmp_path)
    bundle_store.put(shipped)
    (tmp_path / shipped.bundle_id / shipped.manifest.model_card).write_text("another card")
    with pytest.raises(BundleError, match="MODEL_CARD"):
        bundle_store.find(shipped.bundle_id)


@pytest.mark.parametrize("damage", ["lost", "changed", "climbing", "nonsense"])
def test_a_damaged_bundle_is_not_fetched(
    tmp_path: Path, store: BucketDouble, shipped: Bundle, damage: str
) -> None:
    name = store.new_bucket()
    bucket = Bucket(store.place(name, timeout_s=20.0))
    bundle_store = BucketBundleStore(bucket, tmp_path / "here")
    bundle_store.put(shipped)
    stem = f"bundles/{shipped.bundle_id}/"
    if damage == "lost":
        bucket.delete(f"{stem}{shipped.manifest.model_card}")
    elif damage == "changed":
        bucket.put(f"{stem}{shipped.manifest.model_card}", b"another card")
    else:
        manifest = b'{"files": {"../../climbed": {}}}' if damage == "climbing" else b"{"
        bucket.put(f"{stem}manifest.json", manifest)
    with pytest.raises(BundleError):
        bundle_store.find(shipped.bundle_id)
    assert not (tmp_path / "climbed").exists()
    assert files(tmp_path) == {}
    bundle_store.close()


def test_an_incomplete_bundle_is_not_installed(
    tmp_path: Path, store: BucketDouble, shipped: Bundle
) -> None:
    name = store.new_bucket()
    bucket = Bucket(store.place(name, timeout_s=20.0))
    bundle_store = BucketBundleStore(bucket, tmp_path)
    card = shipped.manifest.model_card
    bucket.put_file(f"bundles/{shipped.bundle_id}/{card}", shipped.path / card)
    assert bundle_store.ids() == []
    assert bundle_store.find(shipped.bundle_id) is None
    bundle_store.put(shipped)
    assert bundle_store.find(shipped.bundle_id) is not None
    bundle_store.close()
