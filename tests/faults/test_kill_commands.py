"""`crossfix reembed` and `crossfix backup` are killed: nothing is lost, and once more completes."""

import random
import time
from pathlib import Path

import pytest

from service.settings import SHIPPED_BUNDLE
from tests.support.faults.crowd import Order, some_chips
from tests.support.faults.forked import run_command, start_service
from tests.support.faults.inspection import (
    assert_audit_whole,
    assert_nothing_half_there,
    chips_of,
    gallery_on_disk,
    listed_vessels,
)
from tests.support.faults.scale import Scale
from tests.support.second_bundle import second_bundle

LONGEST_S = 2.5
LIMIT_S = 200
VESSELS, CHIPS = 4, 2


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few vessels, whose service was stopped in order."""
    folder = tmp_path_factory.mktemp("filled")
    service, dice = start_service(folder / "data", folder / "service.log"), random.Random(3)
    with service.client() as api:
        for number in range(VESSELS):
            order = Order("/gallery", some_chips(dice, CHIPS), f"SHIP {number}", str(number))
            assert order.send(api).status_code == 201
    service.stop()
    return folder


def kill_somewhere(data: Path, log: Path, dice: random.Random, *command: str) -> bool:
    """Whether it was still at work when it was killed."""
    process = run_command(*command, data=data, log=log)
    time.sleep(dice.uniform(0.0, LONGEST_S))
    busy = process.is_alive()
    process.kill()
    process.join()
    return busy


def complete(data: Path, log: Path, *command: str, status: int = 0) -> str:
    """Run it to its end; what it printed."""
    log.unlink(missing_ok=True)
    process = run_command(*command, data=data, log=log)
    process.join(LIMIT_S)
    assert process.exitcode == status, log.read_text()
    return log.read_text()


def everything(data: Path) -> set[str]:
    return {f"{one.id} {one.vessel_id} {one.chip_sha256}" for one in gallery_on_disk(data)[1]}


@pytest.mark.timeout(900)
def test_killed_during_reembed(scale: Scale, filled: Path, tmp_path: Path) -> None:
    data, log, dice = filled / "data", tmp_path / "command.log", random.Random(5)
    bundles = [second_bundle(tmp_path / "second").path, SHIPPED_BUNDLE]
    before = everything(data)
    for turn in range(scale.kills_of_commands):
        target = str(bundles[turn % 2])
        kill_somewhere(data, log, dice, "reembed", "--to", target)
        assert everything(data) == before, "whichever bundle is served, it has every sighting"
        complete(data, log, "reembed", "--to", target)
        assert everything(data) == before
        assert_nothing_half_there(data)
        assert_audit_whole(data)
    service = start_service(data, tmp_path / "service.log")
    with service.client() as api:
        assert {len(chips_of(api, vessel)) for vessel in listed_vessels(api)} == {CHIPS}
    service.stop()


@pytest.mark.timeout(900)
def test_killed_during_backup(scale: Scale, filled: Path, tmp_path: Path) -> None:
    data, log, dice = filled / "data", tmp_path / "command.log", random.Random(6)
    before = everything(data)
    for turn in range(scale.kills_of_commands):
        torn, whole = tmp_path / f"torn-{turn}", tmp_path / f"whole-{turn}"
        kill_somewhere(data, log, dice, "backup", str(torn))
        assert everything(data) == before
        if torn.exists():  # it appears when it is complete
            survivor = tmp_path / f"survivor-{turn}"
            complete(survivor, log, "restore", str(torn))
            assert everything(survivor) == before
        complete(data, log, "backup", str(whole))
        home = tmp_path / f"home-{turn}"
        assert f"vessels: {VESSELS}" in complete(home, log, "restore", str(whole))
        assert everything(home) == before
        assert_nothing_half_there(home)
    assert_nothing_half_there(data)
