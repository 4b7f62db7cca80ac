"""The key file, which commands change while services read it."""

import logging
import multiprocessing
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.roles import Role
from service.identity.errors import ConflictError, NotFoundError
from service.storage.local.keys import CHECK_EVERY_S, KeyFile, KeyFileError

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self) -> None:
        self.now += CHECK_EVERY_S


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "keys.json"


def test_a_missing_file_has_no_keys(path: Path) -> None:
    assert not KeyFile(path).ring().requires_key


def test_a_running_service_reads_changes(path: Path) -> None:
    clock = Clock()
    running, command = KeyFile(path, clock), KeyFile(path)
    record, key = command.create("desk", Role.READER, NOW)
    assert not running.ring().requires_key
    clock.wait()
    assert running.ring().identify(key, NOW) is not None
    command.revoke(record.id, NOW)
    clock.wait()
    assert running.ring().identify(key, NOW) is None
    assert running.ring().requires_key


def test_the_file_holds_no_secrets_and_only_its_owner_reads_it(path: Path) -> None:
    _, key = KeyFile(path).create("desk", Role.READER, NOW)
    assert key.rpartition("_")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_names_of_usable_keys_differ(path: Path) -> None:
    keys = KeyFile(path)
    record, _ = keys.create("desk", Role.READER, NOW)
    with pytest.raises(ConflictError, match="desk"):
        keys.create("desk", Role.ADMIN, NOW)
    keys.revoke(record.id, NOW)
    keys.create("desk", Role.ADMIN, NOW)
    assert [one.role for one in KeyFile(path).ring().records if one.usable(NOW)] == [Role.ADMIN]


def test_only_known_keys_are_revoked_and_a_second_revocation_changes_nothing(path: Path) -> None:
    keys = KeyFile(path)
    record, _ = keys.create("desk", Role.READER, NOW)
    first = keys.revoke(record.id, NOW)
    assert keys.revoke(record.id, datetime.now(UTC)) == first
    with pytest.raises(NotFoundError, match="keys list"):
        keys.revoke("0" * 12, NOW)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2}', '{"keys": [{"id": "x"}]}', '{"key": []}', "[" * 9999]
)
def test_a_damaged_file_stops_the_start(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(KeyFileError, match=r"keys\.json is damaged"):
        KeyFile(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda text: text.replace('"role": "reader"', '"role": "reader", "role": "admin"'),
            "twice",
        ),
        (lambda text: text.replace('"expires_at": null', '"expires_at": 20270101'), "ISO 8601"),
        (lambda text: text.replace('"revoked_at": null', '"revoked_at": 0'), "ISO 8601"),
    ],
)
def test_a_file_that_says_two_things_is_damaged(
    path: Path, damage: Callable[[str], str], reason: str
) -> None:
    """A reader would become an admin, and a key would expire in 1970."""
    KeyFile(path).create("desk", Role.READER, NOW)
    path.write_text(damage(path.read_text()))
    with pytest.raises(KeyFileError, match=reason):
        KeyFile(path)


def test_two_keys_of_one_id_are_damage(path: Path) -> None:
    keys = KeyFile(path)
    keys.create("desk", Role.READER, NOW)
    other, _ = keys.create("boss", Role.ADMIN, NOW)
    first = next(one for one in KeyFile(path).ring().records if one.id != other.id)
    path.write_text(path.read_text().replace(other.id, first.id))
    with pytest.raises(KeyFileError, match="one id"):
        KeyFile(path)


def test_after_a_file_is_removed_or_damaged_the_known_keys_stay_valid(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    _, key = KeyFile(path).create("desk", Role.READER, NOW)
    running = KeyFile(path, clock)
    intact = path.read_text()
    for damage in (path.unlink, lambda: path.write_text("{")):
        caplog.clear()
        damage()
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                clock.wait()
                assert running.ring().requires_key
                assert running.ring().identify(key, NOW) is not None
        assert len(caplog.records) == 1
    path.write_text(intact)
    record, other = KeyFile(path).create("second desk", Role.READER, NOW)
    clock.wait()
    assert running.ring().identify(other, NOW) is not None
    assert record.name == "second desk"


def test_a_replaced_link_is_followed(tmp_path: Path) -> None:
    """Kubernetes replaces the folder that the link of a mounted file points into."""
    clock = Clock()
    versions = [tmp_path / "v1", tmp_path / "v2"]
    created = [KeyFile(one / "keys.json").create(one.name, Role.READER, NOW)[1] for one in versions]
    (tmp_path / "data").symlink_to(versions[0])
    running = KeyFile(tmp_path / "data" / "keys.json", clock)
    assert running.ring().identify(created[0], NOW) is not None
    (tmp_path / "next").symlink_to(versions[1])
    os.replace(tmp_path / "next", tmp_path / "data")
    clock.wait()
    assert running.ring().identify(created[0], NOW) is None
    assert running.ring().identify(created[1], NOW) is not None


def _create_keys(path: Path, worker: int) -> None:
    for number in range(5):
        KeyFile(path).create(f"{worker}-{number}", Role.READER, NOW)


def test_a_command_changes_the_file_that_a_link_names(tmp_path: Path) -> None:
    file, link = tmp_path / "shared" / "keys.json", tmp_path / "keys.json"
    record, _ = KeyFile(file).create("desk", Role.READER, NOW)
    link.symlink_to(file)
    KeyFile(link).revoke(record.id, NOW)
    assert link.is_symlink()
    assert KeyFile(file).ring().records[0].revoked_at == NOW


def test_simultaneous_commands_lose_no_key(path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_create_keys, args=(path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(one.usable(NOW) for one in KeyFile(path).ring().records) == 20


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot be"):
        KeyFile(tmp_path / "file" / "keys.json").create("desk", Role.READER, NOW)
