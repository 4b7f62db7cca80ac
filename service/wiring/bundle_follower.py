"""A service on a shared gallery follows it from bundle to bundle while it runs."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from service.contract.errors import CrossfixError
from service.identity.audit_trail import AuditTrail
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.audit import AuditLog
from service.settings import Settings
from service.wiring.active_bundle import ActiveBundle, ServedBundle
from service.wiring.bundles import find_bundle
from service.wiring.maintenance import embed_late_sightings
from service.wiring.stores import open_archive

log = logging.getLogger("crossfix")

SECOND_LOOK_AFTER_S = 300.0
"""Every replica has moved by then, or is gone."""


class BundleFollower:
    """Looks every `bundle_poll_s` which bundle the gallery is at, and moves there."""

    def __init__(
        self,
        board: ActiveBundle,
        settings: Settings,
        serve: Callable[[Path], ServedBundle],
        audit: AuditLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`serve` opens the bundle in a folder and builds its routes; moves go into the audit."""
        self._board = board
        self._settings = settings
        self._serve = serve
        self._audit = audit
        self._clock = clock
        self._to_look_at: list[tuple[float, str]] = []

    def run(self, stopping: threading.Event) -> None:
        """Follow until told to stop; what goes wrong is logged and tried again."""
        archive: GalleryArchive | None = None
        while not stopping.wait(self._settings.bundle_poll_s):
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
        """Move to the bundle that the gallery is at; False when this is there already.

        Requests under way are answered by the former bundle. What it enrolled to the last is
        embedded for the new one, so that nothing acknowledged is missing there; once more after
        `SECOND_LOOK_AFTER_S`, for replicas that enrolled in the former bundle and were then stopped.
        """
        active = archive.active()
        moved = active is not None and active != self._board.present.bundle_id
        if moved:
            following = self._serve(find_bundle(self._settings, str(active)))
            trail = AuditTrail(self._audit, lambda: datetime.now(UTC), following.bundle_id)
            with trail.change("follow-bundle", former=self._board.present.bundle_id):
                former = self._board.move_to(following)
            log.warning("moved from bundle %s to %s", former.bundle_id, active)
            now = self._clock()
            self._to_look_at += [
                (now, former.bundle_id),
                (now + SECOND_LOOK_AFTER_S, former.bundle_id),
            ]
            former.models.close()
        for look in sorted(self._to_look_at):
            at, bundle_id = look
            if at > self._clock():
                break
            if bundle_id != self._board.present.bundle_id:
                self._carry_late(archive, bundle_id)
            self._to_look_at.remove(look)
        return moved

    def _carry_late(self, archive: GalleryArchive, former: str) -> None:
        present = self._board.present
        late = embed_late_sightings(
            archive,
            self._settings,
            lambda chips: [present.models.embedder.embed(chip).vector for chip in chips],
            former,
            present.bundle_id,
        )
        if late:
            log.warning("carried over %d late sightings", late)
