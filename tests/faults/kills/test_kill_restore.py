"""A kill of `crossfix restore` leaves nothing on which a service or a command starts."""

import random
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.identity.errors import StoreUnavailableError
from service.maintenance.backup import back_up
from service.settings import Settings
from service.wiring.app import create_app
from service.wiring.maintenance import open_to_back_up
from service.wiring.stores import open_archive, open_chips, open_gallery
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel
from tests.support.faults.forked_service import run_command
from tests.support.faults.scale import Scale

VESSELS = 150
LIMIT_S = 200


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    settings = Settings(data_dir=folder / "data")
    gallery, chips = open_gallery(settings, BUNDLE, WIDTH), open_chips(settings)
    for number in range(VESSELS):
        vessel, digest = make_vessel(), chips.put(f"chip {number}".encode())
        gallery.put_vessel(vessel)
        gallery.put_sightings([embedded(0.5, vessel, chip_sha256=digest)], vessel)
    gallery.close()
    chips.close()
    with closing(open_to_back_up(settings)) as stores:
        back_up(stores, folder / "backup", datetime.now(UTC))
    return folder / "backup"


def is_complete(settings: Settings) -> bool:
    with closing(open_archive(settings)) as archive:
        return (
            sum(1 for _ in archive.vessels()) == VESSELS
            and archive.active() == BUNDLE
            and len(archive.sighting_ids(BUNDLE)) == VESSELS
        )


@pytest.mark.timeout(600)
def test_a_kill_during_restore_is_never_served(scale: Scale, backup: Path, tmp_path: Path) -> None:
    dice, log, refused = random.Random(7), tmp_path / "command.log", 0
    began = time.monotonic()
    process = run_command("restore", str(backup), data=tmp_path / "whole", log=log)
    process.join(LIMIT_S)
    assert process.exitcode == 0, log.read_text()
    whole_s = time.monotonic() - began
    assert is_complete(Settings(data_dir=tmp_path / "whole"))
    for turn in range(2 * scale.kills_of_commands):
        settings = Settings(data_dir=tmp_path / f"torn-{turn}")
        process = run_command("restore", str(backup), data=settings.data_dir, log=log)
        time.sleep(dice.uniform(0.1, 1.0) * whole_s)
        process.kill()
        process.join()
        if not (settings.data_dir / "gallery").exists():
            continue  # killed before the first write
        if (settings.data_dir / "restore-unfinished").exists():
            with pytest.raises(StoreUnavailableError, match="restore into this gallery was interr"):
                create_app(settings)
            refused += 1
        else:
            with closing(open_archive(settings)) as archive:
                begun = next(archive.vessels(), None) is not None
            assert not begun or is_complete(settings)
    print(f"{refused} interrupted restores were refused")
