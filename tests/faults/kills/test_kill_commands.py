"""A kill of `crossfix reembed` or `crossfix backup` loses nothing, and a repeat completes."""

import random
import time
from pathlib import Path

import pytest

from service.settings import SHIPPED_BUNDLE
from tests.support.faults.concurrent_clients import ClientRequest, random_chips
from tests.support.faults.forked_service import run_command, start_service
from tests.support.faults.inspection import (
    assert_consistent_on_disk,
    chips_of,
    gallery_on_disk,
    listed_vessels,
    sound_audit_entries,
)
from tests.support.faults.scale import Scale
from tests.support.training.second_bundle import second_bundle

MAX_DELAY_S = 2.5
LIMIT_S = 200
VESSELS, CHIPS = 4, 2


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few vessels, whose service was stopped with SIGTERM."""
    folder = tmp_path_factory.mktemp("filled")
    service, dice = start_service(folder / "data", folder / "service.log"), random.Random(3)
    with service.client() as api:
        for number in range(VESSELS):
            request = ClientRequest(
                "/gallery", random_chips(dice, CHIPS), f"SHIP {number}", str(number)
            )
            assert request.send(api).status_code == 201
    service.stop()
    return folder


def kill_at_random(data: Path, log: Path, dice: random.Random, *command: str) -> None:
    """Start a command and kill it after a random time."""
    process = run_command(*command, data=data, log=log)
    time.sleep(dice.uniform(0.0, MAX_DELAY_S))
    process.kill()
    process.join()


def complete(data: Path, log: Path, *command: str, status: int = 0) -> str:
    """Run a command to its end; return its output."""
    log.unlink(missing_ok=True)
    process = run_command(*command, data=data, log=log)
    process.join(LIMIT_S)
    assert process.exitcode == status, log.read_text()
    return log.read_text()


def sighting_rows(data: Path) -> set[str]:
    return {f"{one.id} {one.vessel_id} {one.chip_sha256}" for one in gallery_on_disk(data)[1]}


@pytest.mark.timeout(900)
def test_a_kill_during_reembed_loses_nothing(scale: Scale, filled: Path, tmp_path: Path) -> None:
    data, log, dice = filled / "data", tmp_path / "command.log", random.Random(5)
    bundles = [second_bundle(tmp_path / "second").path, SHIPPED_BUNDLE]
    before = sighting_rows(data)
    for turn in range(scale.kills_of_commands):
        target = str(bundles[turn % 2])
        kill_at_random(data, log, dice, "reembed", "--to", target)
        assert sighting_rows(data) == before, "the served bundle has every sighting"
        complete(data, log, "reembed", "--to", target)
        assert sighting_rows(data) == before
        assert_consistent_on_disk(data)
        sound_audit_entries(data)
    service = start_service(data, tmp_path / "service.log")
    with service.client() as api:
        assert {len(chips_of(api, vessel)) for vessel in listed_vessels(api)} == {CHIPS}
    service.stop()


@pytest.mark.timeout(900)
def test_a_kill_during_backup_loses_nothing(scale: Scale, filled: Path, tmp_path: Path) -> None:
    data, log, dice = filled / "data", tmp_path / "command.log", random.Random(6)
    before = sighting_rows(data)
    for turn in range(scale.kills_of_commands):
        killed, whole = tmp_path / f"killed-{turn}", tmp_path / f"whole-{turn}"
        kill_at_random(data, log, dice, "backup", str(killed))
        assert sighting_rows(data) == before
        if killed.exists():  # a backup gets its name when it is complete
            restored = tmp_path / f"restored-killed-{turn}"
            complete(restored, log, "restore", str(killed))
            assert sighting_rows(restored) == before
        complete(data, log, "backup", str(whole))
        restored = tmp_path / f"restored-{turn}"
        assert f"vessels: {VESSELS}" in complete(restored, log, "restore", str(whole))
        assert sighting_rows(restored) == before
        assert_consistent_on_disk(restored)
    assert_consistent_on_disk(data)
