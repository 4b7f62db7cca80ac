"""Wait at the start for stores that do not answer yet."""

import logging
import time

from service.identity.errors import StoreUnavailableError
from service.settings import Settings
from service.wiring.stores import active_bundle_id, is_embedded, open_chips

log = logging.getLogger("crossfix")

WAIT_EVERY_S = 0.5


def wait_for_stores(settings: Settings) -> None:
    """Wait until the Qdrant server and the bucket answer, for `stores_wait_s` at most.

    Raises:
        SettingsError: a bucket was chosen and its client is not installed.
        StoreUnavailableError: a store does not answer in time, or refuses the key.
        StoreFullError: the disk is full.
    """
    if is_embedded(settings) and settings.chip_store == "folder":
        return
    deadline = time.monotonic() + settings.stores_wait_s
    waiting = False
    while True:
        try:
            if not is_embedded(settings):
                active_bundle_id(settings)
            if settings.chip_store == "s3":
                open_chips(settings).close()
        except StoreUnavailableError as error:
            if not error.may_pass or time.monotonic() >= deadline:
                raise
            if not waiting:
                log.warning("waiting for up to %g s: %s", settings.stores_wait_s, error)
            waiting = True
        else:
            return
        time.sleep(WAIT_EVERY_S)
