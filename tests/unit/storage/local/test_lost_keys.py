"""A key file that was emptied or lost does not open the service."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.roles import Role
from service.storage.local.claims import MemoryClaimStore
from service.storage.local.gallery_marker import GalleryMarker
from service.storage.local.keys import KeyFile, KeyFileError
from tests.unit.storage.local.test_keys import Clock

NOW = datetime(2026, 3, 2, tzinfo=UTC)
WITHOUT_KEYS = ["{}", '{"keys": []}', '{"version": 1}', '{"version": 1, "keys": []}']


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def made(tmp_path: Path) -> GalleryMarker:
    return GalleryMarker(tmp_path / "data" / "keys-required", "keys were made")


@pytest.mark.parametrize("text", WITHOUT_KEYS)
def test_a_file_without_keys_stops_the_start(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(KeyFileError, match=r"keys\.json is damaged"):
        KeyFile(path)


@pytest.mark.parametrize("text", WITHOUT_KEYS)
def test_a_running_service_keeps_the_keys_of_an_emptied_file(path: Path, text: str) -> None:
    clock = Clock()
    _, key = KeyFile(path).create("desk", Role.READER, NOW)
    running = KeyFile(path, clock)
    path.write_text(text)
    clock.wait()
    assert running.ring().requires_key
    assert running.ring().identify(key, NOW) is not None


def test_a_lost_file_stops_the_next_start(path: Path, made: GalleryMarker) -> None:
    KeyFile(path, made=made).require_kept()
    KeyFile(path, made=made).create("desk", Role.READER, NOW)
    KeyFile(path, made=made).require_kept()
    path.unlink()
    with pytest.raises(KeyFileError, match=r"keys\.json is missing"):
        KeyFile(path, made=made).require_kept()
    KeyFile(path, made=made).create("second desk", Role.READER, NOW)
    KeyFile(path, made=made).require_kept()


def test_keys_of_an_earlier_version_are_noted_at_the_start(path: Path, made: GalleryMarker) -> None:
    KeyFile(path).create("desk", Role.READER, NOW)
    KeyFile(path, made=made).require_kept()
    os.unlink(path)
    with pytest.raises(KeyFileError):
        KeyFile(path, made=made).require_kept()


def test_a_running_service_notes_the_first_keys(path: Path, made: GalleryMarker) -> None:
    clock = Clock()
    running = KeyFile(path, clock, made)
    KeyFile(path).create("desk", Role.READER, NOW)
    clock.wait()
    assert running.ring().requires_key
    assert made.is_set()


def test_replicas_with_folders_of_their_own_share_a_note(tmp_path: Path) -> None:
    shared = MemoryClaimStore()
    first, second = (GalleryMarker(tmp_path / name / "n", "made", lambda: shared) for name in "ab")
    assert not second.is_set()
    first.set()
    first.set()
    assert second.is_set()
    first.clear()
    assert not first.is_set()
    assert not second.is_set()
