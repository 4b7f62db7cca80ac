"""The use cases around fakes, with a clock that ticks a second at each look."""

import itertools
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from service.contract.decoding.decode import ChipLimits
from service.contract.manifest import CalibrationSpec, ChoiceSpec, LogisticSpec
from service.identity.curate import Curation
from service.identity.enrol import Enrolment
from service.identity.judge import MatchJudge
from service.identity.match import Matcher
from service.identity.observe import ChipUpload, Observer
from service.identity.records.match_records import AnsweringModel
from service.identity.recovery import Recovery
from service.identity.verify import Verifier
from tests.support.chips import optical_png, sar_tiff
from tests.support.fakes.cache import FakeCache
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchHistory

CALIBRATION = CalibrationSpec(
    match=ChoiceSpec(
        weights={"similarity": 12.0, "length_log_ratio": -5.0}, none_bias=4.0, none_log_gallery=0.5
    ),
    verify=LogisticSpec(bias=0.0, weights={"similarity": 4.0}),
    match_same_sensor=ChoiceSpec(weights={"similarity": 12.0}, none_bias=4.0, none_log_gallery=0.5),
    confident_from=0.9,
    no_match_below=0.5,
    fitted_on="invented for tests",
)
MODEL = AnsweringModel(
    bundle_id=FakeEmbedder.bundle_id, name="fake", training_domain="invented for tests"
)


@dataclass
class House:
    """Everything a use case test touches."""

    gallery: FakeGallery
    chips: FakeChipStore
    matches: FakeMatchHistory
    embedder: FakeEmbedder
    observer: Observer
    recovery: Recovery
    enrolment: Enrolment
    curation: Curation
    matcher: Matcher
    judging: MatchJudge
    verifier: Verifier


def build_house(
    gallery: FakeGallery, chips: FakeChipStore, matches: FakeMatchHistory | None = None
) -> House:
    ticks = itertools.count()
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def now() -> datetime:
        return start + timedelta(seconds=next(ticks))

    matches = matches or FakeMatchHistory()
    writing = threading.RLock()
    embedder = FakeEmbedder()
    observer = Observer(embedder, FakeCache(), ChipLimits(), now)
    recovery = Recovery(gallery, chips, now, writing, step=None)
    return House(
        gallery=gallery,
        chips=chips,
        matches=matches,
        embedder=embedder,
        observer=observer,
        recovery=recovery,
        enrolment=Enrolment(gallery, chips, observer, recovery, now, writing),
        curation=Curation(gallery, recovery, now, writing),
        matcher=Matcher(gallery, chips, matches, observer, MODEL, CALIBRATION, now, writing),
        judging=MatchJudge(gallery, matches, recovery, now, writing),
        verifier=Verifier(observer, CALIBRATION),
    )


@pytest.fixture
def house() -> House:
    return build_house(FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())


def optical(seed: int, **shape: int) -> ChipUpload:
    return ChipUpload(optical_png(seed, **shape))


def sar(seed: int, **shape: int) -> ChipUpload:
    return ChipUpload(sar_tiff(seed, **shape))
