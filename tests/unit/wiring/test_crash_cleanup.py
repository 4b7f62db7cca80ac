"""Chips that a killed service left are removed where no other service can use them."""

from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from service.storage.local.chips import FolderChipStore
from service.wiring.crash_cleanup import MARKER_NAME, RunningMarker
from tests.support.fakes.gallery import FakeGallery


@pytest.mark.parametrize(
    "shared",
    [
        {"chip_store": "s3", "s3_bucket": "ships", "s3_endpoint_url": "http://store.invalid"},
        {"qdrant_url": "http://qdrant.invalid"},
    ],
)
def test_chips_that_other_services_may_use_are_kept(tmp_path: Path, shared: dict[str, Any]) -> None:
    (tmp_path / MARKER_NAME).write_text("killed")
    digest = FolderChipStore(tmp_path / "chips").put(b"of another service")
    marker = RunningMarker(Settings(data_dir=tmp_path, **shared))
    marker.begin(FakeGallery("bundle", 4))
    assert marker.removed_chips == 0
    assert FolderChipStore(tmp_path / "chips").get(digest)


def test_unused_chips_in_the_data_folder_are_removed_after_a_kill(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    killed = RunningMarker(settings)
    killed.begin(FakeGallery("bundle", 4))
    FolderChipStore(tmp_path / "chips").put(b"of a request that was cut off")
    restarted = RunningMarker(settings)
    restarted.begin(FakeGallery("bundle", 4))
    assert restarted.removed_chips == 1
    restarted.end()
    assert not (tmp_path / MARKER_NAME).exists()
