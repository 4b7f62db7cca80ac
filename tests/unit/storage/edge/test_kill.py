"""Repeated kills of a process that enrols, extends and deletes vessels.

Acknowledged changes are stored, and no change is stored in part.
"""

import hashlib
import multiprocessing
import random
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from service.identity.records.vessels import VesselFilter, VesselState
from service.storage.points.filters import Condition
from tests.support.enrolling import ADDED, AT_FIRST, Home, enrol_until_killed, open_home
from tests.support.search_tables import assert_tables_are_current

ROUNDS = 20
MAX_MESSAGES = 8
MAX_DELAY_S = 0.03
OPENING_S = 0.1
FATAL_WRITES = 16
COMPLETE = (AT_FIRST, AT_FIRST + ADDED)
FORKS = multiprocessing.get_context("forkserver")


def test_kills_at_random_times(quick_folder: Path) -> None:
    dice = random.Random(20240301)
    settled: dict[UUID, int] = {}
    for round_number in range(ROUNDS):
        acknowledged = run_and_kill(quick_folder, 10_000 * round_number, dice)
        check_and_recover(quick_folder, settled, acknowledged)
    assert {0, *COMPLETE} == set(settled.values())


def test_kills_right_after_each_write(quick_folder: Path) -> None:
    """After every step of enrolling, extending and deleting."""
    settled: dict[UUID, int] = {}
    unsettled = 0
    for fatal_write in range(1, FATAL_WRITES + 1):
        acknowledged = run_until_it_dies(quick_folder, 10_000 * fatal_write, fatal_write)
        unsettled += check_and_recover(quick_folder, settled, acknowledged)
    assert unsettled > FATAL_WRITES // 3


def run_and_kill(folder: Path, first_seed: int, dice: random.Random) -> list[tuple[UUID, int]]:
    """Kill a process and return what it acknowledged.

    In one of four rounds it is killed while it opens the stores, else after a few messages.
    """
    process, reader = start_process(folder, first_seed, None)
    if dice.randrange(4) == 0:
        time.sleep(dice.uniform(0, OPENING_S))
        acknowledged = []
    else:
        acknowledged = [reader.recv() for _ in range(dice.randint(0, MAX_MESSAGES))]
        time.sleep(dice.uniform(0, MAX_DELAY_S))
    process.kill()
    return acknowledged + remaining_messages(process, reader)


def run_until_it_dies(folder: Path, first_seed: int, fatal_write: int) -> list[tuple[UUID, int]]:
    """Run a process that kills itself after so many writes; return what it acknowledged."""
    process, reader = start_process(folder, first_seed, fatal_write)
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    return remaining_messages(process, reader)


def start_process(
    folder: Path, first_seed: int, fatal_write: int | None
) -> tuple[BaseProcess, Connection]:
    FORKS.set_forkserver_preload([enrol_until_killed.__module__])
    reader, writer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(
        target=enrol_until_killed, args=(folder, writer, first_seed, fatal_write)
    )
    process.start()
    writer.close()
    return process, reader


def remaining_messages(process: BaseProcess, reader: Connection) -> list[tuple[UUID, int]]:
    process.join()
    acknowledged = []
    try:
        while True:
            acknowledged.append(reader.recv())
    except (EOFError, OSError):
        reader.close()
    return acknowledged


def check_and_recover(
    folder: Path, settled: dict[UUID, int], acknowledged: list[tuple[UUID, int]]
) -> int:
    """Check the folder of a killed process; return the number of interrupted changes.

    `settled` holds the number of sightings of each vessel, and is updated.
    """
    home = open_home(folder)
    assert_tables_are_current(home.gallery)
    last = acknowledged[-1][0] if acknowledged else None
    settled.update({vessel_id: count for vessel_id, count in acknowledged if vessel_id != last})
    assert_as_acknowledged(home, settled)
    if last is not None:
        settled[last] = assert_between(home, last, acknowledged[-1][1])
    assert_complete(home)
    interrupted = home.recovery.run()
    assert_clean(home)
    home.gallery.close()
    return interrupted


def assert_as_acknowledged(home: Home, settled: dict[UUID, int]) -> None:
    """Assert that each vessel has the sightings of its last acknowledged change."""
    visible = {v.id for v in home.gallery.get_vessels(list(settled)).values() if v.state.visible}
    for vessel_id, count in settled.items():
        assert (vessel_id in visible) == (count > 0)
        if count:
            assert len(home.gallery.sightings_of([vessel_id])) == count


def assert_between(home: Home, vessel_id: UUID, count: int) -> int:
    """Assert that a vessel is as acknowledged, or as after the change that was in progress."""
    vessel = home.gallery.get_vessels([vessel_id]).get(vessel_id)
    if vessel is None or not vessel.state.visible:
        assert vessel is None or vessel.state in (VesselState.DELETING, VesselState.DELETED)
        return 0
    now = len(home.gallery.sightings_of([vessel_id]))
    assert count > 0, "a deletion was acknowledged"
    assert now in (count, AT_FIRST + ADDED)
    return now


def assert_complete(home: Home) -> None:
    """Assert that every visible vessel is complete down to the bytes of its chips."""
    vessels = home.gallery.list_vessels(VesselFilter(), 100_000, None).vessels
    total = 0
    for vessel in vessels:
        sightings = home.gallery.sightings_of([vessel.id])
        assert len(sightings) in COMPLETE
        total += len(sightings)
        for sighting in sightings:
            data = home.chips.get(sighting.chip_sha256)
            assert hashlib.sha256(data).hexdigest() == sighting.chip_sha256
    counts = home.gallery.counts()
    assert (counts.vessels, counts.sightings) == (len(vessels), total)


def assert_clean(home: Home) -> None:
    """Assert that after recovery no change is in progress and no sighting lacks its vessel."""
    settled = (VesselState.ACTIVE, VesselState.DELETED, VesselState.MERGED)
    unsettled = [state for state in VesselState if state not in settled]
    assert home.gallery.vessels_in_state(unsettled) == []
    deleted = home.gallery.vessels_in_state([VesselState.DELETED])
    kept = sum(len(vessel.former_sightings) for vessel in deleted)
    assert home.gallery._sightings.count(Condition()) == home.gallery.counts().sightings + kept
