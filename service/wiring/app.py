"""The only place where parts are built and joined."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from service.api import errors
from service.api.middleware.auth import SECURITY
from service.api.middleware.stack import install
from service.api.problems import documented
from service.api.routes.docs import docs_router
from service.api.routes.gallery import gallery_router
from service.api.routes.health import health_router
from service.api.routes.match import match_router
from service.api.routes.matches import matches_router
from service.api.routes.sightings import sightings_router
from service.api.schemas import BundleOut, ModelOut
from service.contract.bundle import open_bundle
from service.identity.audit_trail import AuditTrail
from service.identity.curate import Curation
from service.identity.enrol import Enrolment
from service.identity.errors import StoreUnavailableError
from service.identity.judge import MatchJudge
from service.identity.match import Matcher
from service.identity.observe import Observer
from service.identity.pictures import Pictures
from service.identity.ports.audit import AuditLog
from service.identity.ports.cache import EmbeddingCache
from service.identity.ports.chips import ChipStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import AnsweringModel
from service.identity.recovery import Recovery
from service.identity.verify import Verifier
from service.inference.batcher import BatchedEmbedder, BatchStats, LaneSettings
from service.inference.embedder import Embedder, load_embedder
from service.maintenance.readiness import ReadinessCheck
from service.observability.drift import expected_shares
from service.observability.metrics import Telemetry
from service.observability.tracing import Tracing
from service.settings import S3_TRIES, Settings
from service.storage.audit.log import open_audit_log
from service.storage.edge.gallery import open_edge_gallery
from service.storage.local.cache import MemoryCache
from service.storage.redis.cache import RedisCache
from service.storage.redis.link import RedisLink
from service.wiring.active_bundle import ActiveBundle, ActiveBundleRoutes, Models, ServedBundle
from service.wiring.bundle_follower import BundleFollower
from service.wiring.crash_cleanup import RunningMarker
from service.wiring.middleware import middleware_options
from service.wiring.stores import open_chips, open_matches
from service.wiring.tracing import open_tracing
from service.wiring.upkeep import audit_folder, bundle_to_serve, chip_limits

log = logging.getLogger("crossfix")

SHORTEST_STEP_S = 60.0
CALLS_IN_A_STEP = 12
BUCKET_CALLS_IN_A_STEP = 3
"""What a change does between two looks at its claim, at most."""

DESCRIPTION = "Which known vessel does this chip show? Identify ships across optical and SAR."


@dataclass(frozen=True)
class Shared:
    """What outlives a change of the bundle; `writing` has one change at a time made here."""

    chips: ChipStore
    matches: MatchStore
    cache: EmbeddingCache
    redis: RedisLink | None
    audit: AuditLog
    writing: threading.RLock
    note: RunningMarker

    def close(self) -> None:
        if self.redis is not None:
            self.redis.close()
        self.audit.close()
        self.matches.close()
        self.chips.close()


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Raises:
        BundleError: the bundle does not check out.
        DeviceError: the device that was asked for is not there.
        SettingsError: the address is public and no key is asked for, or a setting cannot be
            followed.
        StoreUnavailableError: a store cannot be opened.
    """
    redis = None if settings.redis_url is None else RedisLink(settings.redis_url)
    entrance = middleware_options(settings, redis)
    with ExitStack() as unless_all_is_well:
        telemetry = Telemetry(open_tracing(settings))
        unless_all_is_well.callback(telemetry.tracing.close)
        note = RunningMarker(settings)
        note.begin()
        models = open_models(settings, telemetry, bundle_to_serve(settings))
        unless_all_is_well.callback(models.close)
        shared = open_shared(settings, redis, note)
        unless_all_is_well.callback(shared.close)
        board = ActiveBundle(serve_bundle(settings, telemetry, shared, models))
        began = {"chips_cleared_up": note.cleared_up}
        AuditTrail(shared.audit, now, board.present.bundle_id).note("serve-bundle", began)
        unless_all_is_well.pop_all()

    def serve(bundle: Path) -> ServedBundle:
        opened = open_models(settings, telemetry, bundle)
        try:
            return serve_bundle(settings, telemetry, shared, opened)
        except BaseException:
            opened.close()
            raise

    follower: BundleFollower | None = None
    if settings.qdrant_url is not None:
        follower = BundleFollower(board, settings, serve, shared.audit)
    app = FastAPI(
        lifespan=_lifespan(
            board, shared, telemetry.tracing, settings.recovery_interval_s, follower
        ),
        openapi_url=None,
    )
    app.add_middleware(ActiveBundleRoutes, board=board)
    install(app, entrance, telemetry)
    errors.install(app, telemetry)
    telemetry.on_scrape(lambda: _show_state(telemetry, board.present.models, shared))
    return app


def open_models(settings: Settings, telemetry: Telemetry, folder: Path) -> Models:
    """Open the bundle in `folder` and its part of the gallery."""
    bundle = open_bundle(folder)
    embedder = load_embedder(folder, settings.device, settings.threads)
    batched = BatchedEmbedder(
        embedder,
        LaneSettings(
            max_wait_ms=settings.batch_wait_ms,
            sar_queue=settings.queue_size,
            timeout_s=settings.embed_timeout_s,
        ),
        observe=_batch_observer(telemetry),
    )
    try:
        gallery = _open_gallery(settings, embedder)
    except BaseException:
        batched.close()
        raise
    return Models(bundle, batched, str(embedder.device), gallery)


def open_shared(settings: Settings, redis: RedisLink | None, note: RunningMarker) -> Shared:
    """Open the stores that do not depend on the bundle; the gallery is open already."""
    with ExitStack() as unless_all_is_well:
        chips = open_chips(settings)
        unless_all_is_well.callback(chips.close)
        matches = open_matches(settings)
        unless_all_is_well.callback(matches.close)
        audit = open_audit_log(audit_folder(settings), settings.replica, now)
        unless_all_is_well.pop_all()
    return Shared(
        chips=chips,
        matches=matches,
        cache=MemoryCache(settings.cache_entries) if redis is None else RedisCache(redis),
        redis=redis,
        audit=audit,
        writing=threading.RLock(),
        note=note,
    )


def serve_bundle(
    settings: Settings, telemetry: Telemetry, shared: Shared, models: Models
) -> ServedBundle:
    """Settle what was interrupted, and build the routes that answer with these models."""
    trail = AuditTrail(shared.audit, now, models.bundle.bundle_id)
    recovery = Recovery(
        models.gallery,
        shared.chips,
        now,
        shared.writing,
        step=longest_step(settings),
        trail=trail,
    )
    judging = MatchJudge(models.gallery, shared.matches, recovery, now, shared.writing, trail)

    def settle() -> int:
        return recovery.run() + judging.settle_interrupted()

    settled = settle()
    if settled:
        log.warning("settled %d interrupted changes", settled)
    routes = FastAPI(
        title="Crossfix",
        description=DESCRIPTION,
        version="1",
        dependencies=SECURITY,
        docs_url=None,
        redoc_url=None,
        responses=documented(401, 403, 429, 503),
    )
    errors.install(routes, telemetry)
    _add_routes(routes, settings, models, shared, recovery, judging, telemetry)
    manifest = models.bundle.manifest
    telemetry.bundle.info(
        {
            "bundle_id": models.bundle.bundle_id,
            "name": manifest.name,
            "training_domain": manifest.training.domain,
            "device": models.device,
        }
    )
    return ServedBundle(models, settle, routes)


def longest_step(settings: Settings) -> timedelta | None:
    """How long a few calls of the stores may take, see `Recovery`; None: nobody else writes."""
    if settings.qdrant_url is None:
        return None
    seconds = max(SHORTEST_STEP_S, CALLS_IN_A_STEP * settings.qdrant_timeout_s)
    if settings.chip_store == "s3":
        bucket_s = BUCKET_CALLS_IN_A_STEP * S3_TRIES * settings.s3_timeout_s
        seconds = max(seconds, bucket_s)
    return timedelta(seconds=seconds)


def _open_gallery(settings: Settings, embedder: Embedder) -> Gallery:
    if settings.qdrant_url is None:
        folder = settings.data_dir / "gallery"
        return open_edge_gallery(folder, embedder.bundle_id, embedder.width)
    # Importing the client takes longer than all else; only this shape needs it.
    from service.storage.server.gallery import open_server_gallery

    key = settings.qdrant_api_key
    return open_server_gallery(
        settings.qdrant_url,
        api_key=None if key is None else key.get_secret_value(),
        bundle_id=embedder.bundle_id,
        width=embedder.width,
        timeout_s=settings.qdrant_timeout_s,
    )


def _add_routes(
    app: FastAPI,
    settings: Settings,
    models: Models,
    shared: Shared,
    recovery: Recovery,
    judging: MatchJudge,
    telemetry: Telemetry,
) -> None:
    gallery, manifest = models.gallery, models.bundle.manifest
    chips, writing = shared.chips, shared.writing
    measure = telemetry.observe_stages
    observer = Observer(models.embedder, shared.cache, chip_limits(settings), now, measure)
    trail = AuditTrail(shared.audit, now, models.bundle.bundle_id, measure)
    model = AnsweringModel(
        bundle_id=models.bundle.bundle_id,
        name=manifest.name,
        training_domain=manifest.training.domain,
    )
    matcher = Matcher(
        gallery,
        chips,
        shared.matches,
        observer,
        model,
        manifest.calibration,
        now,
        writing,
        trail,
        measure,
    )
    verifier = Verifier(observer, manifest.calibration)
    enrolment = Enrolment(gallery, chips, observer, recovery, now, writing, trail, measure)
    curation = Curation(gallery, recovery, now, writing, trail)
    pictures = Pictures(gallery, chips, observer, models.embedder, manifest.preprocess)
    readiness = ReadinessCheck(models.embedder, gallery, shared.matches, chips, shared.audit)
    card = BundleOut(
        bundle_id=models.bundle.bundle_id,
        device=models.device,
        manifest=manifest,
        model_card=models.bundle.file(manifest.model_card).read_text("utf-8"),
    )
    app.include_router(match_router(matcher, verifier, ModelOut.of(model), telemetry))
    app.include_router(matches_router(shared.matches, judging, telemetry))
    app.include_router(gallery_router(gallery, enrolment, curation, settings.max_chips_per_request))
    app.include_router(sightings_router(pictures))
    app.include_router(health_router(readiness, telemetry, card))
    app.include_router(docs_router())

    @app.get("/", include_in_schema=False)
    async def front_door() -> RedirectResponse:
        return RedirectResponse("/docs")


def _batch_observer(telemetry: Telemetry) -> Callable[[BatchStats], None]:
    def observe(stats: BatchStats) -> None:
        telemetry.batches.labels(stats.lane).observe(stats.batch_size)

    return observe


def _show_state(telemetry: Telemetry, models: Models, shared: Shared) -> None:
    """Set the gauges to the present state."""
    for lane, depth in models.embedder.queue_depths().items():
        telemetry.queue_depth.labels(lane).set(depth)
    if shared.redis is not None:
        telemetry.redis_failures.set(shared.redis.failures)
    try:
        counts = models.gallery.counts()
    except StoreUnavailableError as error:
        telemetry.errors.labels(error.kind).inc()
        return
    telemetry.vessels.set(counts.vessels)
    telemetry.sightings.set(counts.sightings)
    similarities = models.bundle.manifest.calibration.similarities
    telemetry.expect_similarities(expected_shares(similarities, counts.vessels))


def _lifespan(
    board: ActiveBundle,
    shared: Shared,
    tracing: Tracing,
    interval_s: float,
    follower: BundleFollower | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        settle = partial(_settle_regularly, board, interval_s, stopping)
        watches = [threading.Thread(target=settle, name="recovery")]
        if follower is not None:
            follow = partial(follower.run, stopping)
            watches.append(threading.Thread(target=follow, name="bundle"))
        for watch in watches:
            watch.start()
        try:
            yield
        finally:
            stopping.set()
            for watch in watches:
                watch.join()
            served = board.present
            shared.matches.close()  # the gallery holds the lock of its folder
            served.models.close()
            shared.close()
            if served.busy == 0:  # what was cut off is cleared up at the next start
                shared.note.end()
            tracing.close()

    return lifespan


def _settle_regularly(board: ActiveBundle, interval_s: float, stopping: threading.Event) -> None:
    while not stopping.wait(interval_s):
        try:
            with board.connected() as served:
                served.settle()
        except Exception:
            log.exception("could not look for interrupted changes; trying again later")
