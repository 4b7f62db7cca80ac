"""What a killed service left is cleared up where it can be nobody else's, and only there."""

from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from service.storage.local.chips import FolderChipStore
from service.wiring.crash_cleanup import NOTE, RunningMarker


@pytest.mark.parametrize(
    "shared",
    [
        {"chip_store": "s3", "s3_bucket": "ships", "s3_endpoint_url": "http://store.invalid"},
        {"qdrant_url": "http://qdrant.invalid"},
    ],
)
def test_what_others_may_use_is_not_cleared_up(tmp_path: Path, shared: dict[str, Any]) -> None:
    (tmp_path / NOTE).write_text("killed")
    digest = FolderChipStore(tmp_path / "chips").put(b"of another service")
    note = RunningMarker(Settings(data_dir=tmp_path, **shared))
    note.begin()
    assert note.cleared_up == 0
    assert FolderChipStore(tmp_path / "chips").get(digest)


def test_what_is_in_the_data_folder_alone_is_cleared_up_after_a_kill(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    note = RunningMarker(settings)
    note.begin()
    FolderChipStore(tmp_path / "chips").put(b"of a request that was cut off")
    after = RunningMarker(settings)
    after.begin()
    assert after.cleared_up == 1
    after.end()
    assert not (tmp_path / NOTE).exists()
