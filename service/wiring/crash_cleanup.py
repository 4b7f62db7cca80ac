"""Delete chips that a killed service left behind and that no sighting uses.

A chip is stored before its sighting is written. Where the gallery is embedded and the chips are in
the data folder, this process is their only user, so after a kill it deletes unused chips at its
next start, before it serves. Where replicas share a gallery, or a bucket may have other users,
`crossfix sweep` deletes old unused chips.
"""

import logging
from contextlib import closing
from pathlib import Path

from service.contract.durable_files import replace_file
from service.identity.original_chips import delete_unused_chip
from service.identity.ports.gallery import Gallery
from service.identity.records.vessels import VesselState
from service.settings import Settings
from service.storage.local.disk_errors import disk_errors
from service.wiring.stores import is_embedded, open_chips

log = logging.getLogger("crossfix")

MARKER_NAME = "serving"


class RunningMarker:
    """A file in the data folder that exists while the service runs, and after it was killed.

    `removed_chips` is the number of chips of a killed process that were removed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        only_user = is_embedded(settings) and settings.chip_store == "folder"
        self._path: Path | None = settings.data_dir / MARKER_NAME if only_user else None
        self.removed_chips = 0

    def begin(self, gallery: Gallery) -> None:
        """Clean up after a killed process, if there was one, and write the marker.

        Args:
            gallery: the gallery of this process, which changes nothing meanwhile.

        Raises:
            StoreUnavailableError, StoreFullError: a store cannot be used.
        """
        if self._path is None:
            return
        if self._path.exists():
            self.removed_chips = self._remove_unused_chips(gallery)
            if self.removed_chips:
                log.warning("removed %d chips of requests that were cut off", self.removed_chips)
        with disk_errors(f"write {self._path}"):
            self._settings.data_dir.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, "removed when the service ends in order\n")

    def end(self) -> None:
        """Remove the marker; all requests are answered and every store is closed."""
        if self._path is not None:
            with disk_errors(f"remove {self._path}"):
                self._path.unlink(missing_ok=True)

    def _remove_unused_chips(self, gallery: Gallery) -> int:
        under_way = gallery.vessels_in_state([*{*VesselState} - {VesselState.ACTIVE}])
        with closing(open_chips(self._settings, abandoned_after_s=0.0)) as chips:
            stored = {chip.sha256 for chip in chips.stored()}
            # Recovery decides about the chips that an interrupted change adds or deletes.
            stored -= {digest for vessel in under_way for digest in vessel.leaving_chips}
            unused = gallery.unused_chips(stored)
            return sum(delete_unused_chip(gallery, chips, digest) for digest in unused)
