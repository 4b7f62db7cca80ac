"""The settings choose the stores; errors say what to change."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.main import main
from service.identity.errors import StoreUnavailableError
from service.settings import Settings, SettingsError, load_settings
from service.storage.local.chips import FolderChipStore
from service.wiring.stores import open_bundle_store, open_chips, protect_data_folder
from tests.support.doubles.bucket import BucketDouble, running_bucket_store


@pytest.fixture(scope="module")
def store() -> Iterator[BucketDouble]:
    with running_bucket_store() as double:
        yield double


def settings_of(
    monkeypatch: pytest.MonkeyPatch, folder: Path, environment: dict[str, str]
) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings(data_dir=folder)


def test_chips_are_in_the_data_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chips = open_chips(settings_of(monkeypatch, tmp_path, {}))
    assert isinstance(chips, FolderChipStore)
    chips.put(b"chip")
    assert list(tmp_path.glob("chips/??/??/*.chip"))


@pytest.mark.parametrize("own", [True, False])
def test_new_files_are_closed_to_others_and_only_an_own_folder_is_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool
) -> None:
    tmp_path.chmod(0o755)
    if not own:
        monkeypatch.setattr(Path, "chmod", refuse)
    before = os.umask(0o022)
    try:
        protect_data_folder(load_settings(data_dir=tmp_path))
        (tmp_path / "new").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert stat.S_IMODE(tmp_path.stat().st_mode) == (0o700 if own else 0o755)


def test_a_folder_of_other_files_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o1777)
    before = os.umask(0o022)
    try:
        protect_data_folder(load_settings(data_dir=tmp_path))
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
        (tmp_path / "gallery").mkdir()
        protect_data_folder(load_settings(data_dir=tmp_path))
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def refuse(path: Path, mode: int) -> None:
    """Change no folder of another user."""
    raise PermissionError(f"{path} belongs to another user")


def test_credentials_are_read_from_the_environment_of_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: BucketDouble
) -> None:
    name = store.new_bucket()
    unset = dict.fromkeys(
        ("CROSSFIX_S3_ACCESS_KEY_ID", "CROSSFIX_S3_SECRET_ACCESS_KEY", "CROSSFIX_S3_REGION"), ""
    )
    found = {"AWS_ACCESS_KEY_ID": "of-the-environment", "AWS_SECRET_ACCESS_KEY": "as-well"}
    settings = settings_of(monkeypatch, tmp_path, store.settings(name, "ships") | unset | found)
    chips = open_chips(settings)
    digest = chips.put(b"chip")
    chips.close()
    assert store.objects(name) == {f"ships/chips/{digest}": b"chip"}
    assert not (tmp_path / "chips").exists()


def test_a_missing_bucket_is_reported_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: BucketDouble
) -> None:
    settings = settings_of(monkeypatch, tmp_path, store.settings("nowhere-at-all"))
    with pytest.raises(StoreUnavailableError, match="check CROSSFIX_S3_BUCKET"):
        open_chips(settings)


@pytest.fixture
def without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.storage.s3.bucket", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)


@pytest.mark.usefixtures("without_boto3")
def test_the_error_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    store: BucketDouble,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = settings_of(monkeypatch, tmp_path, store.settings("ships"))
    for opener in (open_chips, open_bundle_store):
        with pytest.raises(SettingsError, match=r"pip install 'crossfix\[s3\]'"):
            opener(settings)
    data = ["--data-dir", str(tmp_path / "data")]
    with pytest.raises(SystemExit) as ended:
        main(["backup", str(tmp_path / "backup"), "--allow-empty", *data])
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().count("\n") == 0


@pytest.mark.usefixtures("without_boto3")
def test_a_folder_of_chips_needs_no_bucket_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_chips(settings_of(monkeypatch, tmp_path, {})).ping()
