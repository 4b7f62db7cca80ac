"""Build the application from its settings: middleware, the served bundle, background threads."""

import logging
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
from service.contract.errors import CrossfixError
from service.identity.audit_trail import AuditTrail
from service.identity.errors import StoreUnavailableError
from service.maintenance.retention import RetentionLimits, apply_retention
from service.observability.drift import expected_shares
from service.observability.metrics import Telemetry
from service.observability.webhook import Webhook
from service.settings import Settings, is_loopback
from service.wiring.active_bundle import (
    ActiveBundle,
    ActiveBundleRoutes,
    BundleResources,
    ServedBundle,
)
from service.wiring.bundle_follower import BundleFollower
from service.wiring.bundle_routes import ProcessParts, open_bundle_resources, serve_bundle, utc_now
from service.wiring.bundles import bundle_to_serve
from service.wiring.crash_cleanup import RunningMarker
from service.wiring.decoders import open_decoders
from service.wiring.lasting_notes import require_complete
from service.wiring.maintenance import retention_limits
from service.wiring.middleware import middleware_options
from service.wiring.stores import (
    SharedStores,
    is_embedded,
    open_redis,
    open_shared_stores,
)
from service.wiring.tracing import open_tracing
from service.wiring.waiting import wait_for_stores

log = logging.getLogger("crossfix")

RETENTION_INTERVAL_S = 3600.0
ANNOUNCE_INTERVAL_S = 2.0
PAUSE_AFTER_FAILURE_S = 30.0
"""Before open sightings are asked about again."""


@dataclass(frozen=True)
class Application:
    """The parts that the background threads of one process use."""

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
        marker = RunningMarker(settings)
        marker.begin()
        resources = open_bundle_resources(settings, telemetry, bundle_to_serve(settings))
        on_error.callback(resources.close)
        stores = open_shared_stores(settings, redis, telemetry.store_retries.inc)
        on_error.callback(stores.close)
        parts = ProcessParts(
            settings,
            telemetry,
            stores,
            decoders,
            threading.RLock(),
            options.keys,
            _webhook(settings),
        )
        active = ActiveBundle(serve_bundle(parts, resources))
        facts = {"chips_cleared_up": marker.removed_chips}
        AuditTrail(stores.audit, utc_now, active.current.bundle_id).record("serve-bundle", facts)
        on_error.pop_all()
    application = Application(parts, marker, active)
    app = FastAPI(lifespan=_lifespan(application), openapi_url=None)
    app.add_middleware(ActiveBundleRoutes, active=active)
    install(app, options, telemetry)
    errors.install(app, telemetry)
    telemetry.on_scrape(lambda: _set_gauges(telemetry, active.current.resources, stores))
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
    settings = application.parts.settings
    settle = partial(_settle_regularly, application.active, settings.recovery_interval_s, stopping)
    threads = [threading.Thread(target=settle, name="recovery")]
    if application.parts.webhook is not None:
        announce = partial(_announce_regularly, application.active, stopping)
        threads.append(threading.Thread(target=announce, name="webhook"))
    if settings.ask_again_interval_s:
        ask = partial(
            _ask_again_regularly, application.active, settings.ask_again_interval_s, stopping
        )
        threads.append(threading.Thread(target=ask, name="ask-again"))
    limits = retention_limits(settings)
    if limits.any:
        retain = partial(_retain_regularly, application, limits, stopping)
        threads.append(threading.Thread(target=retain, name="retention"))
    if settings.check_interval_h:
        check = partial(_check_regularly, application, settings.check_interval_h * 3600.0, stopping)
        threads.append(threading.Thread(target=check, name="check"))
    if not is_embedded(settings):
        follower = BundleFollower(
            application.active,
            settings,
            partial(_serve, application),
            application.parts.stores.audit,
        )
        threads.append(threading.Thread(target=partial(follower.run, stopping), name="bundle"))
    return threads


def _serve(application: Application, folder: Path) -> ServedBundle:
    """Open the bundle in a folder and build its routes; close it again when that fails."""
    parts = application.parts
    resources = open_bundle_resources(parts.settings, parts.telemetry, folder)
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


def _settle_regularly(active: ActiveBundle, interval_s: float, stopping: threading.Event) -> None:
    while not stopping.wait(interval_s):
        try:
            with active.in_use() as served:
                served.settle()
        except Exception as error:
            _log_failure("could not look for interrupted changes; trying again later", error)


def _ask_again_regularly(
    active: ActiveBundle, interval_s: float, stopping: threading.Event
) -> None:
    """Compare open sightings with the chips that vessels got since, as long as there are any."""
    while not stopping.is_set():
        done, pause_s = 0, interval_s
        try:
            with active.in_use() as served:
                done = served.ask_again(stopping.is_set)
        except Exception as error:
            _log_failure("open sightings could not be matched anew; trying again later", error)
            pause_s = max(interval_s, PAUSE_AFTER_FAILURE_S)
        if not done:
            stopping.wait(pause_s)


def _announce_regularly(active: ActiveBundle, stopping: threading.Event) -> None:
    while not stopping.wait(ANNOUNCE_INTERVAL_S):
        try:
            with active.in_use() as served:
                if served.announce is not None:
                    served.announce(stopping.is_set)
        except Exception as error:
            _log_failure("new matches could not be sent to the webhook; trying again later", error)


def _check_regularly(
    application: Application, interval_s: float, stopping: threading.Event
) -> None:
    """Compare all records that the service uses with their digests, slowly and again and again."""
    parts = application.parts
    while not stopping.is_set():
        try:
            if not _check_records(application, stopping):
                continue
            parts.record_health.require_intact()
        except Exception as error:
            log.error("the check of stored records: %s", error)
        parts.telemetry.damaged_records.set(len(parts.record_health.damaged))
        stopping.wait(interval_s)


def _check_records(application: Application, stopping: threading.Event) -> bool:
    """Check all records once; return False if the service ends or moves to another bundle."""
    with application.active.in_use() as served:

        def stopped(seconds: float) -> bool:
            return stopping.wait(seconds) or application.active.current is not served

        health, matches = application.parts.record_health, application.parts.stores.matches
        return health.check(served.resources.gallery, matches, stopped)


def _retain_regularly(
    application: Application, limits: RetentionLimits, stopping: threading.Event
) -> None:
    """Delete old matches and open sightings every hour; changes go on meanwhile."""
    parts = application.parts
    stores = parts.stores
    while not stopping.is_set():
        try:
            with application.active.in_use() as served:
                removed = apply_retention(
                    served.resources.gallery,
                    stores.matches,
                    stores.chips,
                    AuditTrail(stores.audit, utc_now, served.bundle_id),
                    limits,
                    utc_now(),
                    parts.write_lock,
                    stopping.wait,
                )
            if removed.matches or removed.sightings:
                log.info("retention removed %s", removed)
        except Exception as error:
            _log_failure("old records could not be removed; trying again later", error)
        stopping.wait(RETENTION_INTERVAL_S)


def _log_failure(what: str, error: Exception) -> None:
    """Log a failure of a background thread: in one line, unless it is a defect."""
    if isinstance(error, CrossfixError):
        log.error("%s: %s", what, error)
    else:
        log.exception(what)


def _set_gauges(telemetry: Telemetry, resources: BundleResources, stores: SharedStores) -> None:
    """Set the gauges to the present state, for a scrape."""
    for lane, depth in resources.embedder.queue_depths().items():
        telemetry.queue_depth.labels(lane).set(depth)
    if stores.redis is not None:
        telemetry.redis_failures.set(stores.redis.failures)
    telemetry.outbox.set(len(stores.outbox.ids()))
    try:
        counts = resources.gallery.counts()
    except StoreUnavailableError as error:
        telemetry.errors.labels(error.kind).inc()
        return
    telemetry.vessels.set(counts.vessels)
    telemetry.sightings.set(counts.sightings)
    similarities = resources.bundle.manifest.calibration.similarities
    telemetry.expect_similarities(expected_shares(similarities, counts.vessels))
