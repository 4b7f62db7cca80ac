import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOMY_BYTES = 512 * 2**20


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is room: for tests that do not doubt the disk."""
    if not (MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOMY_BYTES):
        yield tmp_path / "gallery"
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder) / "gallery"
