"""A process that enrols, extends and deletes vessels is killed again and again: what it
acknowledged is there, and nothing is half there.
"""

import hashlib
import multiprocessing
import random
import time
from pathlib import Path
from uuid import UUID

from service.identity.records import VesselFilter, VesselState
from service.storage.clauses import Condition
from tests.unit.storage.enrolling import ADDED, AT_FIRST, Home, enrol_until_killed, open_home

ROUNDS = 22
LONGEST_S = 0.4
WHOLE = (AT_FIRST, AT_FIRST + ADDED)


def test_nothing_acknowledged_is_lost_and_nothing_is_half_visible(quick_folder: Path) -> None:
    dice = random.Random(20240301)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([enrol_until_killed.__module__])
    settled: dict[UUID, int] = {}
    acknowledged = unsettled = 0
    for round_number in range(ROUNDS):
        news = run_and_kill(context, quick_folder, round_number, dice.uniform(0.01, LONGEST_S))
        acknowledged += len(news)
        home = open_home(quick_folder)
        last = news[-1][0] if news else None
        settled |= {vessel_id: count for vessel_id, count in news if vessel_id != last}
        assert_as_acknowledged(home, settled)
        if last is not None:
            settled[last] = assert_between(home, last, news[-1][1])
        assert_whole(home)
        unsettled += home.recovery.run()
        assert_clean(home)
        home.gallery.close()
    assert acknowledged > 2 * ROUNDS
    assert unsettled > 0, "no kill ever hit a change under way, so the test has shown nothing"


def run_and_kill(
    context: multiprocessing.context.ForkServerContext,
    folder: Path,
    round_number: int,
    seconds: float,
) -> list[tuple[UUID, int]]:
    """What the process said was done before it was killed."""
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(
        target=enrol_until_killed, args=(folder, writer, 10_000 * round_number)
    )
    process.start()
    writer.close()
    time.sleep(seconds)
    process.kill()
    process.join()
    news = []
    try:
        while True:
            news.append(reader.recv())
    except (EOFError, OSError):
        reader.close()
    return news


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
    assert count > 0
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
