"""Replicas on one Qdrant server judge matches of the same chip, and match it, at the same time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from service.identity.enrol import Enrolment, NewVessel
from service.identity.errors import ConflictError
from service.identity.matching.match import Matcher, MatchOptions
from service.identity.records.match_records import Decision, Judgement, NewJudgement
from service.identity.recovery import Recovery
from service.identity.review import MatchReview
from service.identity.uploads import ChipUpload, UploadEmbedder
from service.storage.local.cache import MemoryCache
from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from service.storage.server.matches import ServerMatchStore
from tests.support.doubles.qdrant_http import QdrantDouble, running_qdrant
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.use_cases import CALIBRATION, MODEL, make_context, utc_now

JUDGES = 3


class Replica:
    """The use cases of one process, with its own clients."""

    def __init__(self, server: QdrantDouble, chips: FakeChipStore) -> None:
        self.gallery: ServerGallery = ServerGallery(
            ServerConnection(server.url, timeout_s=30), FakeEmbedder.bundle_id, WIDTH
        )
        self.matches = ServerMatchStore(ServerConnection(server.url, timeout_s=30))
        self.claims = ServerClaimStore(ServerConnection(server.url, timeout_s=30))
        context = make_context(self.gallery, chips, matches=self.matches, claims=self.claims)
        upload_embedder = UploadEmbedder(FakeEmbedder(), MemoryCache(0), LocalDecoder(), utc_now)
        recovery = Recovery(context, timedelta(minutes=1))
        self.enrolment = Enrolment(context, upload_embedder, recovery)
        self.review = MatchReview(context, recovery)
        self.matcher = Matcher(context, upload_embedder, MODEL, CALIBRATION, allow_confident=True)

    def enrol(self, seed: int) -> UUID:
        chip = ChipUpload(optical_png(seed, height=16, width=8))
        return self.enrolment.enrol(NewVessel(name=f"SHIP {seed}"), [chip]).vessel.id

    def match(self, chip: ChipUpload) -> UUID:
        return self.matcher.match(chip, MatchOptions()).match.id

    def judge(self, match_id: UUID, vessel_id: UUID) -> bool:
        """Judge a match; return False if another replica was judging it."""
        judgement = NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id)
        try:
            self.review.judge(match_id, judgement)
        except ConflictError:
            return False
        return True

    def close(self) -> None:
        self.gallery.close()
        self.matches.close()
        self.claims.close()


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    chips = FakeChipStore()
    with running_qdrant() as server:
        several = [Replica(server, chips) for _ in range(JUDGES + 1)]
        yield several
        for one in several:
            one.close()


def latest(judged: list[Judgement]) -> Judgement:
    return max(judged, key=lambda judgement: judgement.at)


@pytest.mark.timeout(600)
def test_matches_and_sighting_agree_afterwards(scale: Scale, replicas: list[Replica]) -> None:
    *judges, matching = replicas
    vessels = [matching.enrol(seed) for seed in range(JUDGES)]
    start = threading.Barrier(JUDGES + 1)

    def judge(place: int, match_id: UUID) -> bool:
        start.wait(30)
        return judges[place].judge(match_id, vessels[place])

    def match_again(chip: ChipUpload) -> bool:
        start.wait(30)
        matching.match(chip)
        return False

    with ThreadPoolExecutor(JUDGES + 1) as pool:
        for number in range(scale.duels):
            chip = ChipUpload(sar_tiff(number))
            # Two replicas judge one match, the third judges another match of the chip.
            first, other = matching.match(chip), matching.match(chip)
            judged_matches = [first, first, *[other] * (JUDGES - 2)]
            tasks = [pool.submit(judge, place, one) for place, one in enumerate(judged_matches)]
            tasks.append(pool.submit(match_again, chip))
            judged = sum(one.result(60) for one in tasks)
            assert judged >= 1
            shown = [matching.review.show(one) for one in (first, other)]
            judgements = [j for one in shown for j in one.record.judgements]
            assert len(judgements) == judged
            for one in shown:
                assert not one.record.unsettled
                assert one.sighting is not None
                assert one.sighting.vessel_id == latest(judgements).vessel_id
