"""A process that changes an embedded gallery at random until it kills itself, at any line."""

import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

from service import storage
from service.identity.records.sightings import GroupPlace
from service.identity.records.vessels import Vessel, VesselState
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.tables import search_tables, sketched_vectors
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel

SKETCHED_ROWS, SAVE_AFTER = 16, 60
"""So few that both happen often."""

CODE = str(Path(storage.__file__).parent)
TYPES = (None, "cargo", "tanker", "ferry")


def change_until_killed(folder: Path, seed: int, lines: int) -> None:
    """Open the gallery and change it; die when so many lines of `service.storage` were run."""
    sketched_vectors.SKETCHED_ROWS = SKETCHED_ROWS
    search_tables.SAVE_AFTER = SAVE_AFTER
    _die_after(lines)
    changes = Changes(EdgeGallery(folder, BUNDLE, WIDTH), random.Random(seed))
    while True:
        changes.one()


def _die_after(lines: int) -> None:
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


class Changes:
    """Changes of every kind, of whatever the gallery holds."""

    def __init__(self, gallery: EdgeGallery, dice: random.Random) -> None:
        self._gallery, self._dice = gallery, dice

    def one(self) -> None:
        """Make one change."""
        gallery, dice = self._gallery, self._dice
        vessel = self._vessel()
        own = [one.id for one in gallery.sightings_of([vessel.id])]
        waiting = [i for i, _ in gallery.open_sightings(None, 0)]
        some_own = dice.sample(own, min(len(own), 2))
        some_waiting = dice.sample(waiting, min(len(waiting), 2))
        match dice.randrange(12):
            case 0 | 1 | 2:
                new = [self._sighting(vessel) for _ in range(dice.randint(1, 8))]
                gallery.put_sightings(new, vessel)
            case 3:
                gallery.put_open_sightings([self._sighting(None) for _ in range(2)])
            case 4:
                gallery.move_sightings([*some_waiting, *some_own], vessel)
            case 5:
                gallery.move_sightings(some_own, None, vessel.id)
            case 6:
                gallery.put_vessel(vessel)
                gallery.sync_vessel(vessel)
            case 7:
                gallery.delete_sightings([*some_own, *some_waiting[:1], uuid4()])
            case 8:
                gallery.delete_open_sightings(some_waiting)
            case 9:
                place = GroupPlace(uuid4(), 0.5)
                gallery.place_in_group(dict.fromkeys(some_waiting, place))
            case 10:
                gallery.compare_anew(some_waiting)
            case _ if dice.randrange(4) == 0:
                gallery.delete_sightings(own)
                gallery.delete_vessel(vessel.id)
            case _:
                state = dice.choice([VesselState.ACTIVE, VesselState.DELETED])
                gallery.put_vessel(vessel.model_copy(update={"state": state}))

    def _vessel(self) -> Vessel:
        """Return a new vessel that is stored, or a stored one with another type and length."""
        known = self._gallery.vessels_in_state([*VesselState])
        if len(known) < 4 or self._dice.randrange(8) == 0:
            vessel = make_vessel(id=uuid4())
            self._gallery.put_vessel(vessel)
            return vessel
        facts = {
            "type": self._dice.choice(TYPES),
            "length_m": self._dice.choice([None, 90.0, 120.5]),
        }
        return self._dice.choice(known).model_copy(update=facts)

    def _sighting(self, vessel: Vessel | None) -> Any:
        sensor = self._dice.choice(["optical", "sar"])
        return embedded(
            self._dice.uniform(-1, 1), vessel, self._dice.randrange(1, WIDTH), modality=sensor
        )
