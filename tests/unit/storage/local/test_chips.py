"""The folder of chips: durability, damage, and a full disk."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.storage.local.chips import FolderChipStore

DATA = b"radar amplitudes"


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def raising(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_chips_are_in_folders_by_digest(tmp_path: Path) -> None:
    digest = FolderChipStore(tmp_path).put(DATA)
    assert files(tmp_path) == [tmp_path / digest[:2] / digest[2:4] / f"{digest}.chip"]


def test_another_store_on_the_folder_finds_the_chip(tmp_path: Path) -> None:
    digest = FolderChipStore(tmp_path).put(DATA)
    assert FolderChipStore(tmp_path).get(digest) == DATA


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"\0", b"x" * len(DATA)])
def test_damage_is_detected_and_repaired_by_a_new_upload(tmp_path: Path, damage: bytes) -> None:
    chips = FolderChipStore(tmp_path)
    digest = chips.put(DATA)
    [path] = files(tmp_path)
    path.write_bytes(damage)
    with pytest.raises(StoreUnavailableError, match="have changed on disk"):
        chips.get(digest)
    assert chips.put(DATA) == digest
    assert chips.get(digest) == DATA


def test_file_and_folders_are_synced_before_the_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chips, steps = FolderChipStore(tmp_path), record_steps(tmp_path, monkeypatch)
    digest = chips.put(DATA)
    a, b = digest[:2], digest[2:4]
    assert steps[0:2] == ["sync .", f"sync {a}"]
    assert steps[2].startswith("sync incoming/")
    assert steps[3:] == ["rename", f"sync {a}/{b}"]


def test_each_folder_is_synced_once_for_all_chips_after_their_names_appeared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FolderChipStore(tmp_path).put(DATA)
    chips, steps = FolderChipStore(tmp_path), record_steps(tmp_path, monkeypatch)
    digests = chips.put_all([DATA, *(b"%d" % number for number in range(300))])
    folders = [f"sync {one[:2]}/{one[2:4]}" for one in digests]
    last = len(steps) - steps[::-1].index("rename")
    assert sorted(steps[last:]) == sorted(set(folders))
    assert steps.count("sync .") == len({one[:2] for one in digests[1:]})
    again = chips.put(b"0")
    assert steps[-1] == f"sync {again[:2]}/{again[2:4]}"
    assert len(steps) == last + len(set(folders)) + 1


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    chips = FolderChipStore(tmp_path)
    [path] = [tmp_path / one[:2] for one in chips.put_all([DATA])]
    shutil.rmtree(path)
    assert chips.get(chips.put(DATA)) == DATA


def record_steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each sync and rename under `root` is added from now on."""
    steps: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).relative_to(root)}")
        real_sync(handle)

    def replace(source: str, target: Path) -> None:
        steps.append("rename")
        real_replace(source, target)

    monkeypatch.setattr("service.storage.local.chips.os.fsync", sync)
    monkeypatch.setattr("service.storage.local.chips.os.replace", replace)
    return steps


@pytest.mark.parametrize("step", ["os.fsync", "os.replace", "write_file"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EIO, StoreUnavailableError),
    ],
)
def test_a_failed_write_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, expected: type[Exception]
) -> None:
    chips = FolderChipStore(tmp_path)
    earlier = chips.put(b"earlier")
    with monkeypatch.context() as patch:
        patch.setattr(f"service.storage.local.chips.{step}", raising(code))
        with pytest.raises(expected):
            chips.put(DATA)
    assert [path.stem for path in files(tmp_path)] == [earlier]
    with pytest.raises(NotFoundError):
        chips.get("f" * 64)
    assert chips.get(chips.put(DATA)) == DATA


def test_ping_reports_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = FolderChipStore(tmp_path)
    monkeypatch.setattr("service.storage.local.chips.os.fsync", raising(errno.ENOSPC))
    with pytest.raises(StoreFullError, match="disk is full"):
        chips.ping()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_unreadable_chip_is_unavailable(tmp_path: Path) -> None:
    chips = FolderChipStore(tmp_path)
    digest = chips.put(DATA)
    [path] = files(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailableError, match="cannot be read"):
        chips.get(digest)


def test_old_files_of_interrupted_writes_are_removed_and_recent_ones_kept(tmp_path: Path) -> None:
    FolderChipStore(tmp_path)
    old, recent = tmp_path / "incoming" / "old", tmp_path / "incoming" / "recent"
    for path in (old, recent):
        path.write_bytes(b"half a ch")
    os.utime(old, (time.time() - 7200,) * 2)
    FolderChipStore(tmp_path)
    assert not old.exists()
    assert recent.exists()


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreUnavailableError, match="open the chip store"):
        FolderChipStore(tmp_path / "file" / "chips")
