"""What every test shares."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

MEMORY = Path("/dev/shm")
ROOMY_BYTES = 512 * 2**20

# How long an example takes says more of the machine than of the code.
settings.register_profile("crossfix", deadline=None)
settings.load_profile("crossfix")


@pytest.fixture(autouse=True)
def _nobodys_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """How wide the terminal is must not decide what is printed."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is room: for tests that do not doubt the disk."""
    if not (MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOMY_BYTES):
        yield tmp_path / "gallery"
        return
    # A shard that would not open may still be writing when its folder is removed.
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "gallery"
