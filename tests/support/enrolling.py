"""A process that enrols, extends and deletes vessels until it is killed, and says what is done."""

import itertools
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from qdrant_edge import UpdateOperation

from service.identity.curate import Curation
from service.identity.enrol import Enrolment, NewVessel
from service.identity.recovery import Recovery
from service.identity.uploads import ChipUpload, UploadEmbedder
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.shard import Shard
from service.storage.local.cache import MemoryCache
from service.storage.local.chips import FolderChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.inputs.chips import optical_png
from tests.support.use_cases import make_context, utc_now

AT_FIRST, ADDED = 2, 3


@dataclass(frozen=True)
class Home:
    """The real use cases on the real stores of a folder; only the embedder is a fake."""

    gallery: EdgeGallery
    chips: FolderChipStore
    recovery: Recovery
    enrolment: Enrolment
    curation: Curation


def open_home(folder: Path) -> Home:
    gallery = EdgeGallery(folder / "gallery", FakeEmbedder.bundle_id, WIDTH)
    chips = FolderChipStore(folder / "chips")
    context = make_context(gallery, chips)
    upload_embedder = UploadEmbedder(FakeEmbedder(), MemoryCache(0), LocalDecoder(), utc_now)
    recovery = Recovery(context, step=None)
    return Home(
        gallery,
        chips,
        recovery,
        Enrolment(context, upload_embedder, recovery),
        Curation(context, recovery),
    )


def die_after(writes: int) -> None:
    """Kill this process right after so many more changes of the gallery were applied."""
    left = writes
    apply = Shard.apply

    def apply_and_perhaps_die(shard: Shard, operation: UpdateOperation) -> None:
        nonlocal left
        apply(shard, operation)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Shard.apply = apply_and_perhaps_die  # type: ignore[method-assign, assignment]


def enrol_until_killed(
    folder: Path, done: Connection, first_seed: int, fatal_write: int | None = None
) -> None:
    """Send (vessel id, number of its sightings) after each use case that returned."""
    home = open_home(folder)
    home.recovery.run()
    if fatal_write is not None:
        die_after(fatal_write)
    seed = first_seed

    def some(count: int) -> list[ChipUpload]:
        nonlocal seed
        seed += count
        return [ChipUpload(optical_png(seed - i, height=16, width=8)) for i in range(count)]

    for turn in itertools.count():
        vessel = home.enrolment.enrol(NewVessel(name=f"Hull {seed}"), some(AT_FIRST)).vessel
        done.send((vessel.id, AT_FIRST))
        if turn % 2 == 0:
            home.enrolment.add_chips(vessel.id, some(ADDED))
            done.send((vessel.id, AT_FIRST + ADDED))
        if turn % 3 == 2:
            home.curation.delete(vessel.id)
            done.send((vessel.id, 0))
