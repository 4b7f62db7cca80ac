"""Open the models and the gallery of one bundle, and build the routes that use them."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter, FastAPI

from service.access.keys import KeyStore
from service.api import errors
from service.api.middleware.auth import SECURITY
from service.api.openapi import improve_document, operation_id
from service.api.problems import documented
from service.api.routes.bulk import bulk_router
from service.api.routes.curation import curation_router
from service.api.routes.desk import desk_router
from service.api.routes.docs import docs_router
from service.api.routes.gallery import gallery_router
from service.api.routes.health import health_router
from service.api.routes.match import match_router
from service.api.routes.matches import matches_router
from service.api.routes.open_sightings import open_sightings_router
from service.api.routes.report import report_router
from service.api.routes.session import session_router
from service.api.routes.sightings import sightings_router
from service.api.schemas import BundleOut
from service.contract.bundle import open_bundle
from service.contract.utc_time import utc_now
from service.desk import FILES
from service.identity.audit_trail import AuditTrail
from service.identity.bulk import BulkEnrolment
from service.identity.context import Context
from service.identity.curate import Curation
from service.identity.enrol import Enrolment
from service.identity.leases import Leases
from service.identity.matching.announcing import Announcements
from service.identity.matching.asking_again import AskingAgain
from service.identity.matching.grouping import Grouping
from service.identity.matching.groups import SightingGroups
from service.identity.matching.match import Matcher
from service.identity.matching.recording import MatchRecorder
from service.identity.matching.scene import SceneMatcher
from service.identity.matching.verify import Verifier
from service.identity.pictures import Pictures
from service.identity.records.match_records import AnsweringModel
from service.identity.recovery import Recovery
from service.identity.review import MatchReview
from service.identity.uploads import UploadEmbedder
from service.inference.batcher import BatchedEmbedder
from service.inference.embedder import load_embedder
from service.maintenance.check import RecordHealth
from service.maintenance.readiness import ReadinessCheck
from service.observability.metrics import Telemetry
from service.observability.webhook import Webhook
from service.settings import Settings
from service.storage.server.repeating import CallWatch
from service.wiring.active_bundle import BundleResources, ServedBundle
from service.wiring.stores import SharedStores, longest_step, open_gallery
from service.workers.decoder_pool import DecoderPool

log = logging.getLogger("crossfix")

DESCRIPTION = "Which known vessel does this chip show? Identify ships across optical and SAR."


@dataclass(frozen=True)
class ProcessParts:
    """What one process has that does not depend on the bundle.

    Attributes:
        webhook: receives new matches; None without one.
        record_health: whether stored records were found damaged.
    """

    settings: Settings
    telemetry: Telemetry
    stores: SharedStores
    decoders: DecoderPool
    write_lock: threading.RLock
    keys: KeyStore
    qdrant: CallWatch
    webhook: Webhook | None = None
    record_health: RecordHealth = field(default_factory=RecordHealth)


def open_bundle_resources(
    settings: Settings, telemetry: Telemetry, folder: Path, qdrant: CallWatch
) -> BundleResources:
    """Open the bundle in `folder` and its part of the gallery, whose calls `qdrant` watches.

    Raises:
        BundleError: the bundle is missing or damaged.
        DeviceError: the configured device is missing.
        StoreUnavailableError, StoreFullError: the gallery cannot be opened.
    """
    bundle = open_bundle(folder)
    embedder = load_embedder(folder, settings.device, settings.threads)
    batched = BatchedEmbedder(
        embedder, listener=lambda lane, size: telemetry.batches.labels(lane).observe(size)
    )
    try:
        gallery = open_gallery(settings, embedder.bundle_id, embedder.width, qdrant)
    except BaseException:
        batched.close()
        raise
    return BundleResources(bundle, batched, embedder.device, embedder.precision, gallery)


def serve_bundle(parts: ProcessParts, resources: BundleResources) -> ServedBundle:
    """Finish or undo interrupted changes, and build the routes that use these models."""
    settings, telemetry, stores = parts.settings, parts.telemetry, parts.stores
    manifest, calibration = resources.bundle.manifest, resources.bundle.manifest.calibration
    context = _context(parts, resources)
    recovery = Recovery(context, longest_step(settings))
    review = MatchReview(context, recovery)
    upload_embedder = UploadEmbedder(
        resources.embedder,
        stores.cache,
        parts.decoders,
        utc_now,
        context.measure,
        telemetry.count_framing,
    )
    recorder = MatchRecorder(context, upload_embedder)

    def settle() -> int:
        return recovery.run() + review.settle_interrupted() + recorder.record_waiting()

    settled = settle()
    if settled:
        log.warning("settled %d interrupted changes", settled)
    model = AnsweringModel(
        bundle_id=resources.bundle.bundle_id,
        name=manifest.name,
        training_domain=manifest.training.domain,
    )
    # Never on simulation alone, unless the operator allows it.
    allow_confident = calibration.real_share > 0 or settings.confident_on_simulation
    matcher = Matcher(context, upload_embedder, model, calibration, allow_confident)
    enrolment = Enrolment(context, upload_embedder, recovery)
    curation = Curation(context, recovery, timedelta(days=settings.restore_days))
    pictures = Pictures(context, parts.decoders, resources.embedder, manifest.preprocess)
    verifier = Verifier(upload_embedder, calibration)
    groups = SightingGroups(context, recovery, review)
    routes = _routes(
        parts,
        resources,
        (
            match_router(matcher, SceneMatcher(matcher), verifier, model, telemetry),
            matches_router(stores.matches, review, telemetry),
            report_router(review, pictures, utc_now),
            gallery_router(context.gallery, enrolment),
            curation_router(curation),
            bulk_router(BulkEnrolment(context, enrolment, upload_embedder), telemetry),
            open_sightings_router(groups, model),
            sightings_router(pictures),
        ),
    )
    grouping = Grouping(context, recovery.leases, upload_embedder, calibration)
    asking_again = AskingAgain(context, recovery.leases, matcher, calibration)

    def ask_again(stopped: Callable[[], bool]) -> int:
        return asking_again.ask_again(stopped) or grouping.run(stopped)

    telemetry.bundle.info(
        model.model_dump() | {"device": resources.device, "precision": resources.precision}
    )
    announce = _announcements(parts, context, recovery.leases)
    return ServedBundle(resources, settle, routes, ask_again, announce)


def _context(parts: ProcessParts, resources: BundleResources) -> Context:
    """Return what the use cases of this bundle share."""
    stores, measure = parts.stores, parts.telemetry.observe_stages
    return Context(
        gallery=resources.gallery,
        chips=stores.chips,
        matches=stores.matches,
        claims=stores.claims,
        trail=AuditTrail(stores.audit, utc_now, resources.bundle.bundle_id, measure),
        now=utc_now,
        write_lock=parts.write_lock,
        measure=measure,
        outbox=stores.outbox,
        write_all=stores.write_all,
        announces=parts.webhook is not None,
    )


def _announcements(
    parts: ProcessParts, context: Context, leases: Leases
) -> Callable[[Callable[[], bool]], None] | None:
    """Return what sends new matches to the webhook; None without one."""
    if parts.webhook is None:
        return None
    webhook = parts.telemetry.webhook
    return Announcements(
        context, leases, parts.webhook.send, lambda outcome: webhook.labels(outcome).inc()
    ).run


def _routes(
    parts: ProcessParts, resources: BundleResources, with_key: Sequence[APIRouter]
) -> FastAPI:
    """Build the API from the routers whose requests need a key, and the open ones."""
    settings, stores = parts.settings, parts.stores
    routes = FastAPI(
        title="Crossfix",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=documented(401, 403, 429, 503),
        generate_unique_id_function=operation_id,
    )
    improve_document(routes)
    errors.install(routes, parts.telemetry)
    for router in with_key:
        routes.include_router(router, dependencies=SECURITY)
    readiness = ReadinessCheck(
        resources.embedder,
        resources.gallery,
        stores.matches,
        stores.chips,
        stores.audit,
        parts.decoders,
        decode_stall_s=2 * settings.decode_timeout_s,
        require_intact=parts.record_health.require_intact,
    )
    routes.include_router(health_router(readiness, parts.telemetry, _describe_bundle(resources)))
    routes.include_router(
        session_router(parts.keys, timedelta(hours=settings.session_hours), utc_now)
    )
    routes.include_router(docs_router())
    routes.include_router(desk_router(FILES))
    return routes


def _describe_bundle(resources: BundleResources) -> BundleOut:
    bundle = resources.bundle
    return BundleOut(
        bundle_id=bundle.bundle_id,
        device=resources.device,
        precision=resources.precision,
        manifest=bundle.manifest,
        model_card=bundle.file(bundle.manifest.model_card).read_text("utf-8"),
    )
