"""Find the bundle to serve, and keep it."""

import logging
from contextlib import closing
from pathlib import Path

from service.contract.bundle import Bundle, open_bundle
from service.contract.errors import BundleError
from service.settings import Settings
from service.wiring.stores import active_bundle_id, open_bundle_store

log = logging.getLogger("crossfix")


def bundle_to_serve(settings: Settings) -> Path:
    """Return the folder of the bundle whose sightings the gallery serves.

    Raises:
        BundleError: the gallery is served by a bundle that is neither configured nor installed.
        StoreUnavailableError: the gallery cannot be read.
    """
    configured = open_bundle(settings.bundle).bundle_id
    active = active_bundle_id(settings)
    if active is None or active == configured:
        return settings.bundle
    folder = find_bundle(settings, active)
    log.warning(
        "serving bundle %s, the gallery's active bundle, not %s; `crossfix reembed --to %s` moves "
        "the gallery",
        *(active, configured, settings.bundle),
    )
    return folder


def keep_bundle(settings: Settings, bundle: Bundle) -> None:
    """Install the bundle that is served, unless it is installed.

    An update of Crossfix may replace the shipped bundle by another one; the gallery is served by
    the installed bundle until it is moved.

    Raises:
        StoreUnavailableError, StoreFullError: it cannot be stored.
    """
    with closing(open_bundle_store(settings)) as bundles:
        if bundle.bundle_id not in bundles.ids():
            bundles.put(bundle)


def find_bundle(settings: Settings, bundle_id: str) -> Path:
    """Return the folder of a bundle that was configured or installed.

    Raises:
        BundleError: the bundle is neither configured nor installed.
        StoreUnavailableError, StoreFullError: it cannot be fetched from the bucket.
    """
    configured = open_bundle(settings.bundle).bundle_id
    if configured == bundle_id:
        return settings.bundle
    with closing(open_bundle_store(settings)) as bundles:
        installed = bundles.find(bundle_id)
    if installed is not None:
        return installed
    raise BundleError(
        f"the gallery is served by bundle {bundle_id}, which is neither {settings.bundle} (that "
        f"is {configured}) nor installed; set CROSSFIX_BUNDLE to the folder of "
        f"{bundle_id}, or move the gallery with `crossfix reembed --to {settings.bundle}`"
    )
