"""Backups of nothing are refused, and so is what an interrupted restore left behind."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.identity.errors import ConflictError, StoreUnavailableError
from service.maintenance.backup import back_up
from service.maintenance.backup_format import MANIFEST, verify_backup
from service.maintenance.restore import restore
from service.settings import Settings
from service.storage.local.chips import FolderChipStore
from service.wiring.app import create_app
from service.wiring.gallery_markers import unfinished_restore
from service.wiring.maintenance import (
    check_gallery,
    open_to_back_up,
    open_to_restore,
    retain_in_gallery,
    sweep_originals,
    upgrade_gallery,
)
from service.wiring.stores import open_backup_stores, open_gallery
from tests.support.fakes.records import BUNDLE, WIDTH, make_vessel

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def back_up_gallery(settings: Settings, to: Path, allow_empty: bool = False) -> None:
    with closing(open_to_back_up(settings, allow_empty)) as stores:
        back_up(stores, to, datetime.now(UTC))


def restore_gallery(settings: Settings, source: Path) -> int:
    with closing(open_backup_stores(settings)) as stores:
        return restore(source, stores, unfinished_restore(settings)).vessels


def test_a_gallery_that_is_not_there_is_not_backed_up(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="there is no gallery in the folder"):
        back_up_gallery(settings, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
    back_up_gallery(settings, tmp_path / "backup", allow_empty=True)
    assert (tmp_path / "backup" / MANIFEST).exists()


def test_a_gallery_that_holds_nothing_is_not_backed_up(settings: Settings, tmp_path: Path) -> None:
    open_gallery(settings, BUNDLE, WIDTH).close()
    with pytest.raises(ConflictError, match="holds nothing to back up"):
        back_up_gallery(settings, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("command", ["sweep", "check", "reembed", "retain"])
def test_a_command_refuses_a_folder_without_a_gallery(tmp_path: Path, command: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", keep_matches=1)
    chips = FolderChipStore(settings.data_dir / "chips")
    digest = chips.put(b"chip of a gallery on a server")
    uses: dict[str, Callable[[], object]] = {
        "sweep": lambda: sweep_originals(settings, timedelta(hours=-1), remove=True),
        "check": lambda: check_gallery(settings, lambda _: None),
        "reembed": lambda: upgrade_gallery(settings, settings.bundle),
        "retain": lambda: retain_in_gallery(settings),
    }
    with pytest.raises(ConflictError, match=r"there is no gallery in the folder .* set --data-dir"):
        uses[command]()
    assert chips.get(digest)
    assert [path.name for path in settings.data_dir.iterdir()] == ["chips"]


def test_a_restore_of_what_is_no_backup_creates_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="is not a complete backup"):
        open_to_restore(settings, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_not_restored_into_itself(settings: Settings, tmp_path: Path) -> None:
    backup = backup_of_one_vessel(settings, tmp_path / "backup")
    for folder in (backup, backup / "data"):
        with pytest.raises(ConflictError, match="is in the backup"):
            open_to_restore(Settings(data_dir=folder), backup)
    verify_backup(backup)


def backup_of_one_vessel(settings: Settings, folder: Path) -> Path:
    gallery = open_gallery(settings, BUNDLE, WIDTH)
    gallery.put_vessel(make_vessel())
    gallery.close()
    back_up_gallery(settings, folder)
    return folder


class KilledError(BaseException):
    """The process was killed."""


def test_what_an_interrupted_restore_left_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = backup_of_one_vessel(settings, tmp_path / "backup")
    target = Settings(data_dir=tmp_path / "target")

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("service.maintenance.restore.restore_matches", die)
        with pytest.raises(KilledError):
            restore_gallery(target, backup)
    uses: list[Callable[[], object]] = [
        lambda: create_app(target),
        lambda: back_up_gallery(target, tmp_path / "second"),
        lambda: sweep_originals(target, NOW - NOW, remove=True),
        lambda: upgrade_gallery(target, target.bundle),
    ]
    for use in uses:
        with pytest.raises(
            StoreUnavailableError, match="a restore into this gallery was interrupt"
        ):
            use()
    with pytest.raises(ConflictError, match="a restore that was interrupted left it"):
        restore_gallery(target, backup)
    whole = Settings(data_dir=tmp_path / "whole")
    assert restore_gallery(whole, backup) == 1
    assert not unfinished_restore(whole).is_set()
