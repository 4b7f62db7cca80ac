"""Delete chips that a killed service left behind and that no sighting uses.

A chip is stored before its sighting is written. Where the gallery is embedded and the chips are in
the data folder, this process is their only user, so after a kill it deletes unused chips at its
next start. Where replicas share a gallery, or a bucket may have other users, `crossfix sweep`
deletes old unused chips.
"""

import logging
from contextlib import closing
from pathlib import Path

from service.contract.durable_files import replace_file
from service.contract.utc_time import utc_now
from service.maintenance.sweep import sweep
from service.settings import Settings
from service.storage.local.disk_errors import disk_errors
from service.wiring.stores import is_embedded, open_archive, open_chips

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

    def begin(self) -> None:
        """Clean up after a killed process, if there was one, and write the marker.

        Raises:
            StoreUnavailableError: another process serves the gallery, or it cannot be used.
            StoreFullError: the disk is full.
        """
        if self._path is None:
            return
        if self._path.exists():
            self.removed_chips = self._remove_unused_chips()
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

    def _remove_unused_chips(self) -> int:
        archive = open_archive(self._settings)
        with closing(archive), closing(open_chips(self._settings, abandoned_after_s=0.0)) as chips:
            return sweep(archive, chips, utc_now(), remove=True).removed
