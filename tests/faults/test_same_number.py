"""Replicas on one Qdrant server register the same IMO number at the same time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest

from service.identity.curate import Curation, VesselPatch
from service.identity.enrol import Enrolment, NewVessel
from service.identity.errors import ConflictError
from service.identity.records.vessels import VesselFilter
from service.identity.recovery import Recovery
from service.identity.uploads import ChipUpload, UploadEmbedder
from service.storage.local.cache import MemoryCache
from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from tests.support.doubles.qdrant_http import QdrantDouble, running_qdrant
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import optical_png
from tests.support.use_cases import make_context, utc_now

REPLICAS = 3


def imo_number(serial: int) -> str:
    """Return the valid IMO number whose first six digits are 100000 + `serial`."""
    digits = f"{100_000 + serial:06d}"
    check = sum(int(digit) * (7 - i) for i, digit in enumerate(digits)) % 10
    return f"{digits}{check}"


class Replica:
    """The use cases of one process, with its own clients."""

    def __init__(self, server: QdrantDouble, chips: FakeChipStore) -> None:
        self.gallery: ServerGallery = ServerGallery(
            ServerConnection(server.url, timeout_s=30), FakeEmbedder.bundle_id, WIDTH
        )
        self.claims = ServerClaimStore(ServerConnection(server.url, timeout_s=30))
        context = make_context(self.gallery, chips, claims=self.claims)
        upload_embedder = UploadEmbedder(FakeEmbedder(), MemoryCache(0), LocalDecoder(), utc_now)
        recovery = Recovery(context, timedelta(minutes=1))
        self.enrolment = Enrolment(context, upload_embedder, recovery)
        self.curation = Curation(context, recovery)

    def enrol(self, imo: str, seed: int) -> bool:
        """Enrol a vessel with this number; return whether the number was free."""
        chip = ChipUpload(optical_png(seed, height=16, width=8))
        try:
            self.enrolment.enrol(NewVessel(name=f"OF {uuid4()}", imo=imo), [chip])
        except ConflictError:
            return False
        return True

    def correct(self, imo: str, seed: int) -> bool:
        """Enrol a vessel, then set its number; return whether the number was free."""
        chip = ChipUpload(optical_png(seed, height=16, width=8))
        vessel = self.enrolment.enrol(NewVessel(name=f"OF {uuid4()}"), [chip]).vessel
        try:
            self.curation.update(vessel.id, VesselPatch(imo=imo))
        except ConflictError:
            return False
        return True


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    chips = FakeChipStore()
    with running_qdrant() as server:
        several = [Replica(server, chips) for _ in range(REPLICAS)]
        yield several
        for one in several:
            one.gallery.close()


@pytest.mark.timeout(600)
def test_exactly_one_replica_gets_the_number(scale: Scale, replicas: list[Replica]) -> None:
    gallery = replicas[0].gallery
    start = threading.Barrier(REPLICAS)

    def duel(number: int, place: int) -> bool:
        replica = replicas[place]
        register = replica.correct if (number + place) % 4 == 0 else replica.enrol
        start.wait(30)
        return register(imo_number(number), number * REPLICAS + place)

    with ThreadPoolExecutor(REPLICAS) as pool:
        for number in range(scale.duels):
            won = list(pool.map(duel, [number] * REPLICAS, range(REPLICAS)))
            carriers = [v for v in gallery.find_by_imo(imo_number(number)) if v.state.visible]
            assert len(carriers) == sum(won) == 1
            late = replicas[number % REPLICAS]
            assert not late.enrol(imo_number(number), 10**6 + number), "the number stays taken"
    listed = gallery.list_vessels(VesselFilter(), 10_000, None).vessels
    numbers = [vessel.imo for vessel in listed if vessel.imo]
    assert len(numbers) == len(set(numbers)) == scale.duels
