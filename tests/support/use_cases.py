"""The use cases with fakes for their stores, and a clock that advances a second per reading."""

import itertools
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.contract.utc_time import Clock
from service.contract.weighing.specs import (
    CalibrationSpec,
    ChoiceSpec,
    ConfidentPoint,
    LogisticSpec,
)
from service.identity.audit_trail import AuditTrail
from service.identity.context import Context
from service.identity.curate import Curation
from service.identity.enrol import Enrolment
from service.identity.matching.grouping import Grouping
from service.identity.matching.groups import SightingGroups
from service.identity.matching.match import Matcher
from service.identity.matching.verify import Verifier
from service.identity.ports.audit import AuditLog
from service.identity.ports.chips import ChipStore
from service.identity.ports.claims import ClaimStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import AnsweringModel
from service.identity.recovery import Recovery
from service.identity.review import MatchReview
from service.identity.uploads import ChipUpload, UploadEmbedder
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.audit import FakeAuditLog
from tests.support.fakes.cache import FakeCache
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore
from tests.support.fakes.outbox import NoOutbox
from tests.support.inputs.chips import optical_png, sar_tiff

CALIBRATION = CalibrationSpec(
    match=ChoiceSpec(
        weights={"similarity": 12.0, "length_log_ratio": -5.0}, none_bias=4.0, none_log_gallery=0.5
    ),
    verify=LogisticSpec(bias=0.0, weights={"similarity": 4.0}),
    match_same_sensor=ChoiceSpec(weights={"similarity": 12.0}, none_bias=4.0, none_log_gallery=0.5),
    confident=(
        ConfidentPoint(
            gallery_vessels=1000, threshold=0.9, right=0.99, right_low=0.95, answers=100
        ),
    ),
    confident_from=0.9,
    fitted_on="invented for tests",
)
GROUPING = CALIBRATION.model_copy(update={"verify_same_sensor": CALIBRATION.verify})
MODEL = AnsweringModel(
    bundle_id=FakeEmbedder.bundle_id, name="fake", training_domain="invented for tests"
)


def utc_now() -> datetime:
    return datetime.now(UTC)


def make_context(
    gallery: Gallery,
    chips: ChipStore,
    *,
    matches: MatchStore | None = None,
    claims: ClaimStore | None = None,
    audit: AuditLog | None = None,
    now: Clock = utc_now,
) -> Context:
    """Make the context of one process: its own lock, and fakes for the stores not given."""
    return Context(
        gallery=gallery,
        chips=chips,
        matches=matches or FakeMatchStore(),
        claims=claims or MemoryClaimStore(),
        trail=AuditTrail(audit or FakeAuditLog(), now, FakeEmbedder.bundle_id),
        now=now,
        write_lock=threading.RLock(),
        outbox=NoOutbox(),
    )


def fake_upload_embedder(now: Clock = utc_now) -> UploadEmbedder:
    return UploadEmbedder(FakeEmbedder(), FakeCache(), LocalDecoder(), now)


@dataclass
class UseCases:
    """The use cases of one process, and their stores."""

    context: Context
    gallery: FakeGallery
    chips: FakeChipStore
    matches: FakeMatchStore
    claims: ClaimStore
    embedder: FakeEmbedder
    upload_embedder: UploadEmbedder
    recovery: Recovery
    enrolment: Enrolment
    curation: Curation
    matcher: Matcher
    review: MatchReview
    verifier: Verifier
    grouping: Grouping
    groups: SightingGroups


def build_use_cases(
    gallery: FakeGallery,
    chips: FakeChipStore,
    matches: FakeMatchStore | None = None,
    claims: ClaimStore | None = None,
    audit: AuditLog | None = None,
    now: Clock | None = None,
) -> UseCases:
    ticks = itertools.count()
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def tick() -> datetime:
        return start + timedelta(seconds=next(ticks))

    now = now or tick
    matches = matches or FakeMatchStore()
    claims = claims or MemoryClaimStore()
    embedder = FakeEmbedder()
    upload_embedder = UploadEmbedder(embedder, FakeCache(), LocalDecoder(), now)
    context = make_context(gallery, chips, matches=matches, claims=claims, audit=audit, now=now)
    recovery = Recovery(context, step=None)
    return UseCases(
        context=context,
        gallery=gallery,
        chips=chips,
        matches=matches,
        claims=claims,
        embedder=embedder,
        upload_embedder=upload_embedder,
        recovery=recovery,
        enrolment=Enrolment(context, upload_embedder, recovery),
        curation=Curation(context, recovery),
        matcher=Matcher(context, upload_embedder, MODEL, CALIBRATION, allow_confident=True),
        review=MatchReview(context, recovery),
        verifier=Verifier(upload_embedder, CALIBRATION),
        grouping=Grouping(context, recovery.leases, upload_embedder, GROUPING),
        groups=SightingGroups(context, recovery, MatchReview(context, recovery)),
    )


def optical(seed: int, **shape: int) -> ChipUpload:
    return ChipUpload(optical_png(seed, **shape))


def optical_look(seed: int) -> ChipUpload:
    """Another look at `optical(seed)`: a longer chip with the same embedding, so no copy of it."""
    return optical(seed, height=41)


def sar_look(seed: int) -> ChipUpload:
    """Another look at `sar(seed)`."""
    return sar(seed, height=41)


def sar(seed: int, **shape: int) -> ChipUpload:
    return ChipUpload(sar_tiff(seed, **shape))
