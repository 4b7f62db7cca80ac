"""A process that enrols, extends and deletes vessels is killed again and again: what it
acknowledged is there, and nothing is half there.
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

ROUNDS = 20
MOST_WORDS = 8
LONGEST_S = 0.03
OPENING_S = 0.1
FATAL_WRITES = 16
WHOLE = (AT_FIRST, AT_FIRST + ADDED)
FORKS = multiprocessing.get_context("forkserver")


def test_killed_at_random_moments(quick_folder: Path) -> None:
    dice = random.Random(20240301)
    settled: dict[UUID, int] = {}
    for round_number in range(ROUNDS):
        news = run_and_kill(quick_folder, 10_000 * round_number, dice)
        check_and_recover(quick_folder, settled, news)
    assert {0, *WHOLE} == set(settled.values())


def test_killed_right_after_each_write(quick_folder: Path) -> None:
    """Every step of enrolling, extending and deleting, one after the other."""
    settled: dict[UUID, int] = {}
    unsettled = 0
    for fatal_write in range(1, FATAL_WRITES + 1):
        news = run_until_it_dies(quick_folder, 10_000 * fatal_write, fatal_write)
        unsettled += check_and_recover(quick_folder, settled, news)
    assert unsettled > FATAL_WRITES // 3


def run_and_kill(folder: Path, first_seed: int, dice: random.Random) -> list[tuple[UUID, int]]:
    """What the process said was done before it was killed: while opening in one of four rounds,
    otherwise after a few words and a moment.
    """
    process, reader = started(folder, first_seed, None)
    if dice.randrange(4) == 0:
        time.sleep(dice.uniform(0, OPENING_S))
        news = []
    else:
        news = [reader.recv() for _ in range(dice.randint(0, MOST_WORDS))]
        time.sleep(dice.uniform(0, LONGEST_S))
    process.kill()
    return news + last_words(process, reader)


def run_until_it_dies(folder: Path, first_seed: int, fatal_write: int) -> list[tuple[UUID, int]]:
    """What the process said was done before it killed itself after so many writes."""
    process, reader = started(folder, first_seed, fatal_write)
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    return last_words(process, reader)


def started(
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


def last_words(process: BaseProcess, reader: Connection) -> list[tuple[UUID, int]]:
    process.join()
    news = []
    try:
        while True:
            news.append(reader.recv())
    except (EOFError, OSError):
        reader.close()
    return news


def check_and_recover(folder: Path, settled: dict[UUID, int], news: list[tuple[UUID, int]]) -> int:
    """Check the folder that a killed process left; returns how many changes were interrupted.

    `settled` holds the number of sightings of each vessel, and is brought up to date.
    """
    home = open_home(folder)
    last = news[-1][0] if news else None
    settled.update({vessel_id: count for vessel_id, count in news if vessel_id != last})
    assert_as_acknowledged(home, settled)
    if last is not None:
        settled[last] = assert_between(home, last, news[-1][1])
    assert_whole(home)
    interrupted = home.recovery.run()
    assert_clean(home)
    home.gallery.close()
    return interrupted


def assert_as_acknowledged(home: Home, settled: dict[UUID, int]) -> None:
    """Each vessel has the sightings that it had at its last acknowledged change."""
    visible = {v.id for v in home.gallery.get_vessels(list(settled)).values() if v.state.visible}
    for vessel_id, count in settled.items():
        assert (vessel_id in visible) == (count > 0)
        if count:
            assert len(home.gallery.sightings_of([vessel_id])) == count


def assert_between(home: Home, vessel_id: UUID, count: int) -> int:
    """The vessel is as acknowledged, or as after the one change that was under way."""
    vessel = home.gallery.get_vessels([vessel_id]).get(vessel_id)
    if vessel is None or not vessel.state.visible:
        assert vessel is None or vessel.state is VesselState.DELETING
        return 0
    now = len(home.gallery.sightings_of([vessel_id]))
    assert count > 0, "a deletion was acknowledged"
    assert now in (count, AT_FIRST + ADDED)
    return now


def assert_whole(home: Home) -> None:
    """Whatever is visible, acknowledged or not, is complete down to its chips' bytes."""
    vessels = home.gallery.list_vessels(VesselFilter(), 100_000, None).vessels
    total = 0
    for vessel in vessels:
        sightings = home.gallery.sightings_of([vessel.id])
        assert len(sightings) in WHOLE
        total += len(sightings)
        for sighting in sightings:
            data = home.chips.get(sighting.chip_sha256)
            assert hashlib.sha256(data).hexdigest() == sighting.chip_sha256
    counts = home.gallery.counts()
    assert (counts.vessels, counts.sightings) == (len(vessels), total)


def assert_clean(home: Home) -> None:
    """After recovery no change is under way, and no sighting is left without a vessel."""
    hidden = [state for state in VesselState if not state.visible]
    assert home.gallery.vessels_in_state([*hidden, VesselState.SYNCING]) == []
    assert home.gallery._sightings.count(Condition()) == home.gallery.counts().sightings
