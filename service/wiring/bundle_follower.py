"""Move a running service on a shared gallery to the bundle that the gallery is moved to."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from service.contract.errors import CrossfixError
from service.contract.utc_time import utc_now
from service.identity.audit_trail import AuditTrail
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.audit import AuditLog
from service.settings import Settings
from service.wiring.active_bundle import ActiveBundle, ServedBundle
from service.wiring.bundles import find_bundle
from service.wiring.maintenance import embed_late_sightings
from service.wiring.stores import open_archive

log = logging.getLogger("crossfix")

LOOK_EVERY_S = 2.0
SECOND_LOOK_AFTER_S = 300.0
"""By then every replica has moved or has stopped."""


class BundleFollower:
    """Looks up the gallery's active bundle every `LOOK_EVERY_S` seconds, and serves it."""

    def __init__(
        self,
        active: ActiveBundle,
        settings: Settings,
        serve: Callable[[Path], ServedBundle],
        audit: AuditLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`serve` opens the bundle in a folder and builds its routes; `audit` records moves."""
        self._active = active
        self._settings = settings
        self._serve = serve
        self._audit = audit
        self._clock = clock
        # When to look for late sightings of which former bundle.
        self._late_looks: list[tuple[float, str]] = []

    def run(self, stopping: threading.Event) -> None:
        """Follow until `stopping` is set; log errors and try again."""
        archive: GalleryArchive | None = None
        while not stopping.wait(LOOK_EVERY_S):
            try:
                archive = archive or open_archive(self._settings)
                self.follow(archive)
            except CrossfixError as error:
                log.error("cannot follow the gallery to its bundle, trying again: %s", error)
            except Exception:
                log.exception("cannot follow the gallery to its bundle, trying again")
        if archive is not None:
            archive.close()

    def follow(self, archive: GalleryArchive) -> bool:
        """Move to the gallery's active bundle; return False when it is served already.

        Requests under way are answered by the former bundle. Sightings that they enrol there are
        then embedded for the new bundle, so that no acknowledged sighting is missing; once more
        after `SECOND_LOOK_AFTER_S`, for replicas that enrolled in the former bundle and were then
        stopped.
        """
        target = archive.active()
        moved = target is not None and target != self._active.current.bundle_id
        if moved:
            self._move_to(str(target))
        for look in sorted(self._late_looks):
            at, bundle_id = look
            if at > self._clock():
                break
            if bundle_id != self._active.current.bundle_id:
                self._embed_late_sightings(archive, bundle_id)
            self._late_looks.remove(look)
        return moved

    def _move_to(self, bundle_id: str) -> None:
        new = self._serve(find_bundle(self._settings, bundle_id))
        trail = AuditTrail(self._audit, utc_now, new.bundle_id)
        with trail.change("follow-bundle", former=self._active.current.bundle_id):
            former = self._active.switch_to(new)
        log.warning("moved from bundle %s to %s", former.bundle_id, bundle_id)
        now = self._clock()
        self._late_looks += [(at, former.bundle_id) for at in (now, now + SECOND_LOOK_AFTER_S)]
        former.resources.close()

    def _embed_late_sightings(self, archive: GalleryArchive, former: str) -> None:
        current = self._active.current
        late = embed_late_sightings(
            archive,
            self._settings,
            lambda chips: [current.resources.embedder.embed(chip).vector for chip in chips],
            former,
            current.bundle_id,
        )
        if late:
            log.warning("embedded %d late sightings of bundle %s", late, former)
