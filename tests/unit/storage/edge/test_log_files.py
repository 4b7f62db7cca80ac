"""Bringing a log to disk that Qdrant Edge writes and rotates."""

import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.log_files import LogFiles
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel

MEMORY_ONLY = ("tmpfs", "ramfs")


def file_system(folder: Path) -> str:
    """Return the type of the file system of a folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [m for m in mounts if folder.is_relative_to(m[0])]
    return max(holding, key=lambda m: len(m[0]))[1]


def unwritten_kib(path_part: str) -> int:
    """Return the KiB of changes to memory-mapped files that are not on disk yet."""
    total, mapped = 0, ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if match := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)", line):
            mapped = match[1]
        elif path_part in mapped and re.match(r"(Shared|Private)_Dirty:", line):
            total += int(line.split()[1])
    return total


@pytest.fixture
def on_disk(tmp_path: Path) -> Path:
    if file_system(tmp_path) in MEMORY_ONLY:
        pytest.skip(f"{tmp_path} is in memory and never written to a disk")
    return tmp_path


def test_changes_through_a_memory_map_are_written(on_disk: Path) -> None:
    path = on_disk / "log" / "open-1"
    path.parent.mkdir()
    path.write_bytes(bytes(1 << 16))
    log = LogFiles(path.parent)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[5000:5003] = b"new"
        assert unwritten_kib(str(path)) > 0
        log.sync()
        assert unwritten_kib(str(path)) == 0
    log.close()


def test_every_acknowledged_write_of_the_gallery_is_on_disk(on_disk: Path) -> None:
    gallery = EdgeGallery(on_disk, BUNDLE, WIDTH)
    vessel, other = make_vessel(), make_vessel()
    one = embedded(0.5, vessel)
    writes: list[Callable[[], None]] = [
        lambda: gallery.put_vessel(vessel),
        lambda: gallery.put_sightings([one], vessel),
        lambda: gallery.move_sightings([one.sighting.id], other),
        lambda: gallery.sync_vessel(other),
        lambda: gallery.delete_sightings([one.sighting.id]),
        lambda: gallery.delete_vessel(vessel.id),
    ]
    for write in writes:
        write()
        assert unwritten_kib("/wal/") == 0
    gallery.close()


def test_renamed_new_and_removed_files_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    monkeypatch.setattr(
        "service.storage.edge.log_files.os.fsync",
        lambda handle: synced.add(os.fstat(handle).st_ino),
    )
    log = LogFiles(tmp_path)
    first, second = tmp_path / "open-1", tmp_path / "open-2"
    first.write_bytes(b"1")
    log.sync()
    assert synced == {first.stat().st_ino, tmp_path.stat().st_ino}
    synced.clear()
    log.sync()
    assert synced == {first.stat().st_ino}
    closed = first.rename(tmp_path / "closed-1")
    second.write_bytes(b"2")
    synced.clear()
    log.sync()
    assert synced == {path.stat().st_ino for path in (closed, second, tmp_path)}
    closed.unlink()
    synced.clear()
    log.sync()
    assert synced == {second.stat().st_ino, tmp_path.stat().st_ino}
    log.close()
    with pytest.raises(OSError, match="closed"):
        log.sync()
