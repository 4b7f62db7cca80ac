"""The only place where parts are built and joined."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from service.api import errors
from service.api.auth import SECURITY
from service.api.entrance import install
from service.api.gallery import gallery_router
from service.api.health import health_router
from service.api.match import match_router
from service.api.problems import documented
from service.api.schemas import BundleOut, ModelOut
from service.api.sightings import sightings_router
from service.contract.bundle import Bundle, open_bundle
from service.contract.decode import ChipLimits
from service.doorway import build_entrance
from service.identity.curate import Curation
from service.identity.enrol import Enrolment
from service.identity.errors import StoreUnavailableError
from service.identity.match import Matcher
from service.identity.observe import Observer
from service.identity.pictures import Pictures
from service.identity.ports import AuditLog, ChipStore, EmbeddingCache, Gallery
from service.identity.readiness import ReadinessCheck
from service.identity.recovery import Recovery
from service.identity.trail import Trail
from service.identity.verify import Verifier
from service.inference.batcher import BatchedEmbedder, BatchStats, LaneSettings
from service.inference.embedder import Embedder, load_embedder
from service.settings import Settings
from service.storage.audit import open_audit_log
from service.storage.cache import MemoryCache, RedisCache
from service.storage.chips import FolderChipStore
from service.storage.gallery_edge import open_edge_gallery
from service.storage.redis_link import RedisLink
from service.telemetry import Telemetry

log = logging.getLogger("crossfix")

REPLICA_GRACE = timedelta(minutes=10)
DESCRIPTION = "Which known vessel does this chip show? Identify ships across optical and SAR."


@dataclass(frozen=True)
class Parts:
    """Everything that holds a resource and must be closed."""

    bundle: Bundle
    embedder: BatchedEmbedder
    device: str
    gallery: Gallery
    chips: ChipStore
    cache: EmbeddingCache
    redis: RedisLink | None
    audit: AuditLog


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Raises:
        BundleError: the bundle does not check out.
        DeviceError: the device that was asked for is not there.
        SettingsError: the address is public and no key is asked for.
        StoreUnavailableError: a store cannot be opened.
    """
    telemetry = Telemetry()
    redis = None if settings.redis_url is None else RedisLink(settings.redis_url)
    entrance = build_entrance(settings, redis)
    parts = build_parts(settings, telemetry, redis)
    writing = threading.RLock()
    grace = REPLICA_GRACE if settings.qdrant_url else timedelta(0)
    recovery = Recovery(parts.gallery, parts.chips, now, writing, grace)
    settled = recovery.run()
    if settled:
        log.warning("settled %d interrupted changes", settled)

    app = FastAPI(
        title="Crossfix",
        description=DESCRIPTION,
        version="1",
        dependencies=SECURITY,
        responses=documented(401, 403, 429),
        lifespan=_lifespan(parts, recovery, settings.recovery_interval_s),
    )
    install(app, entrance, telemetry)
    errors.install(app, telemetry)
    _add_routes(app, settings, parts, recovery, writing, telemetry)
    _show_state(telemetry, parts)
    return app


def build_parts(settings: Settings, telemetry: Telemetry, redis: RedisLink | None) -> Parts:
    """Open the models and the stores that the settings choose."""
    bundle = open_bundle(settings.bundle)
    embedder = load_embedder(settings.bundle, settings.device, settings.threads)
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
        return Parts(
            bundle=bundle,
            embedder=batched,
            device=str(embedder.device),
            gallery=_open_gallery(settings, embedder),
            chips=FolderChipStore(settings.data_dir / "chips"),
            cache=MemoryCache(settings.cache_entries) if redis is None else RedisCache(redis),
            redis=redis,
            audit=open_audit_log(settings.data_dir / "audit", settings.replica, now),
        )
    except BaseException:
        batched.close()
        raise


def _open_gallery(settings: Settings, embedder: Embedder) -> Gallery:
    if settings.qdrant_url is None:
        folder = settings.data_dir / "gallery"
        return open_edge_gallery(folder, embedder.bundle_id, embedder.width)
    # Importing the client takes longer than all else; only this shape needs it.
    from service.storage.gallery_server import open_server_gallery

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
    parts: Parts,
    recovery: Recovery,
    writing: threading.RLock,
    telemetry: Telemetry,
) -> None:
    gallery, chips, manifest = parts.gallery, parts.chips, parts.bundle.manifest
    limits = ChipLimits(
        max_bytes=int(settings.max_chip_mb * 1_000_000), max_side_px=settings.max_chip_side_px
    )
    observer = Observer(parts.embedder, parts.cache, limits, now)
    trail = Trail(parts.audit, now, parts.bundle.bundle_id)
    matcher = Matcher(gallery, chips, observer, manifest.calibration, writing, trail=trail)
    verifier = Verifier(observer, manifest.calibration)
    enrolment = Enrolment(gallery, chips, observer, recovery, now, writing, trail)
    curation = Curation(gallery, recovery, now, writing, trail)
    pictures = Pictures(gallery, chips, observer, parts.embedder, manifest.preprocess)
    readiness = ReadinessCheck(parts.embedder, gallery, chips)
    model = ModelOut(
        bundle_id=parts.bundle.bundle_id,
        name=manifest.name,
        training_domain=manifest.training.domain,
    )
    card = BundleOut(
        bundle_id=parts.bundle.bundle_id,
        device=parts.device,
        manifest=manifest,
        model_card=parts.bundle.file(manifest.model_card).read_text("utf-8"),
    )
    app.include_router(match_router(matcher, verifier, model, telemetry))
    app.include_router(gallery_router(gallery, enrolment, curation, settings.max_chips_per_request))
    app.include_router(sightings_router(pictures))
    app.include_router(health_router(readiness, telemetry, card))

    @app.get("/", include_in_schema=False)
    async def front_door() -> RedirectResponse:
        return RedirectResponse("/docs")


def _batch_observer(telemetry: Telemetry) -> Callable[[BatchStats], None]:
    def observe(stats: BatchStats) -> None:
        telemetry.batches.labels(stats.lane).observe(stats.batch_size)

    return observe


def _show_state(telemetry: Telemetry, parts: Parts) -> None:
    """Have gauges read the present state at each scrape."""
    manifest = parts.bundle.manifest
    telemetry.bundle.info(
        {
            "bundle_id": parts.bundle.bundle_id,
            "name": manifest.name,
            "training_domain": manifest.training.domain,
            "device": parts.device,
        }
    )

    def refresh() -> None:
        for lane, depth in parts.embedder.queue_depths().items():
            telemetry.queue_depth.labels(lane).set(depth)
        if parts.redis is not None:
            telemetry.redis_failures.set(parts.redis.failures)
        try:
            counts = parts.gallery.counts()
        except StoreUnavailableError as error:
            telemetry.errors.labels(error.kind).inc()
            return
        telemetry.vessels.set(counts.vessels)
        telemetry.sightings.set(counts.sightings)

    telemetry.on_scrape(refresh)


def _lifespan(
    parts: Parts, recovery: Recovery, interval_s: float
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        watch = threading.Thread(
            target=_settle_regularly, args=(recovery, interval_s, stopping), name="recovery"
        )
        watch.start()
        yield
        stopping.set()
        watch.join()
        parts.embedder.close()
        parts.gallery.close()
        if parts.redis is not None:
            parts.redis.close()
        parts.audit.close()

    return lifespan


def _settle_regularly(recovery: Recovery, interval_s: float, stopping: threading.Event) -> None:
    while not stopping.wait(interval_s):
        try:
            recovery.run()
        except Exception:
            log.exception("could not look for interrupted changes; trying again later")
