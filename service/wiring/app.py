"""Build the application from its settings: middleware, the served bundle, background threads."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from service.api import errors
from service.api.middleware.stack import install
from service.contract.utc_time import utc_now
from service.identity.audit_trail import AuditTrail
from service.identity.errors import StoreUnavailableError
from service.observability.drift import expected_shares
from service.observability.limited_wait import LimitedWait
from service.observability.metrics import Telemetry
from service.observability.webhook import Webhook
from service.settings import Settings, is_loopback
from service.storage.server.repeating import CallWatch
from service.wiring.active_bundle import (
    ActiveBundle,
    ActiveBundleRoutes,
    BundleResources,
    ServedBundle,
)
from service.wiring.background import repeated_tasks
from service.wiring.bundle_follower import BundleFollower
from service.wiring.bundle_routes import ProcessParts, open_bundle_resources, serve_bundle
from service.wiring.bundles import bundle_to_serve, keep_bundle
from service.wiring.crash_cleanup import RunningMarker
from service.wiring.decoders import open_decoders
from service.wiring.gallery_markers import require_complete
from service.wiring.middleware import middleware_options
from service.wiring.stores import SharedStores, is_embedded, open_redis, open_shared_stores
from service.wiring.tracing import open_tracing
from service.wiring.wait_for_stores import wait_for_stores

SCRAPE_WAIT_S = 2.0
"""How long a scrape waits for the counts of the gallery; Prometheus gives up after ten seconds."""


@dataclass(frozen=True)
class Application:
    """What one process has, to be used by its threads and closed at its end."""

    parts: ProcessParts
    marker: RunningMarker
    active: ActiveBundle


def create_app(settings: Settings) -> FastAPI:
    """Build the service.

    Raises:
        BundleError: the bundle is missing, damaged or not the one of the gallery.
        DeviceError: the configured device is missing.
        SettingsError: the address is public and no key is required, or a package that a setting
            needs is not installed.
        StoreUnavailableError: a store cannot be opened, or a restore was interrupted.
    """
    wait_for_stores(settings)
    require_complete(settings)
    redis = open_redis(settings)
    options = middleware_options(settings, redis)
    with ExitStack() as on_error:
        decoders = open_decoders(settings)
        on_error.callback(decoders.close)
        telemetry = Telemetry(open_tracing(settings))
        on_error.callback(telemetry.tracing.close)
        qdrant = CallWatch(telemetry.store_retries.inc)
        resources = open_bundle_resources(settings, telemetry, bundle_to_serve(settings), qdrant)
        on_error.callback(resources.close)
        marker = RunningMarker(settings)
        marker.begin(resources.gallery)
        stores = open_shared_stores(settings, redis, qdrant)
        on_error.callback(stores.close)
        parts = ProcessParts(
            settings,
            telemetry,
            stores,
            decoders,
            threading.RLock(),
            options.keys,
            qdrant,
            _webhook(settings),
        )
        active = ActiveBundle(serve_bundle(parts, resources))
        keep_bundle(settings, resources.bundle)
        facts = {"chips_cleared_up": marker.removed_chips}
        AuditTrail(stores.audit, utc_now, active.current.bundle_id).record("serve-bundle", facts)
        on_error.pop_all()
    application = Application(parts, marker, active)
    app = FastAPI(lifespan=_lifespan(application), openapi_url=None)
    app.add_middleware(ActiveBundleRoutes, active=active)
    install(app, options, telemetry)
    errors.install(app, telemetry)
    counting = LimitedWait(
        "count-gallery", lambda: _count_gallery(telemetry, active.current.resources), SCRAPE_WAIT_S
    )
    telemetry.on_scrape(lambda: _set_gauges(telemetry, active.current.resources, stores, counting))
    return app


def _webhook(settings: Settings) -> Webhook | None:
    if settings.webhook_url is None:
        return None
    local = is_loopback(urlsplit(settings.webhook_url).hostname or "")
    return Webhook(settings.webhook_url, settings.signing_keys, trust_env=not local)


def _lifespan(application: Application) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        threads = _background_threads(application, stopping)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
            _close(application)

    return lifespan


def _background_threads(
    application: Application, stopping: threading.Event
) -> list[threading.Thread]:
    parts, active = application.parts, application.active
    runs = {task.name: task.run for task in repeated_tasks(parts, active, stopping)}
    if not is_embedded(parts.settings):
        serve = partial(_serve, parts)
        runs["bundle"] = BundleFollower(active, parts.settings, serve, parts.stores.audit).run
    return [threading.Thread(target=run, args=(stopping,), name=name) for name, run in runs.items()]


def _serve(parts: ProcessParts, folder: Path) -> ServedBundle:
    """Open the bundle in a folder and build its routes; close it again when that fails."""
    resources = open_bundle_resources(parts.settings, parts.telemetry, folder, parts.qdrant)
    try:
        return serve_bundle(parts, resources)
    except BaseException:
        resources.close()
        raise


def _close(application: Application) -> None:
    served = application.active.current
    # Match records first: the lock of the embedded gallery covers their folder.
    application.parts.stores.matches.close()
    served.resources.close()
    application.parts.decoders.close()
    application.parts.stores.close()
    if served.requests_under_way == 0:  # otherwise the next start cleans up after them
        application.marker.end()
    application.parts.telemetry.tracing.close()


def _set_gauges(
    telemetry: Telemetry,
    resources: BundleResources,
    stores: SharedStores,
    count_gallery: Callable[[], None],
) -> None:
    """Set the gauges to the present state, for a scrape."""
    for lane, depth in resources.embedder.queue_depths().items():
        telemetry.queue_depth.labels(lane).set(depth)
    if stores.redis is not None:
        telemetry.redis_failures.set(stores.redis.failures)
    telemetry.outbox.set(len(stores.outbox.ids()))
    count_gallery()


def _count_gallery(telemetry: Telemetry, resources: BundleResources) -> None:
    """Set the gauges that need the gallery; the time it takes is that of its server."""
    try:
        counts = resources.gallery.counts()
    except StoreUnavailableError as error:
        telemetry.errors.labels(error.kind).inc()
        return
    telemetry.vessels.set(counts.vessels)
    telemetry.sightings.set(counts.sightings)
    similarities = resources.bundle.manifest.calibration.similarities
    telemetry.expect_similarities(expected_shares(similarities, counts.vessels))
