"""What a killed service leaves on disk beyond interrupted changes: chips that no sighting shows.

A chip is put before its sighting is written. On an embedded gallery with chips in the data folder
this process is the only one, so at a start after a kill whatever nothing refers to is nobody's, and
goes at once. Where replicas share a gallery, or a bucket may be in use by others, that cannot be
known; there `crossfix sweep` removes what is old.
"""

import logging
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from service.contract.durable_files import replace_file
from service.maintenance.sweep import sweep
from service.settings import Settings
from service.storage.local.disk_errors import disk_errors
from service.wiring.stores import is_embedded, open_archive, open_chips

log = logging.getLogger("crossfix")

NOTE = "serving"


class RunningMarker:
    """A file that is there while all is kept in the data folder, and after it if that was killed.

    `cleared_up` tells how many chips of a killed process were removed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        alone = is_embedded(settings) and settings.chip_store == "folder"
        self._note: Path | None = settings.data_dir / NOTE if alone else None
        self.cleared_up = 0

    def begin(self) -> None:
        """Clear up after a killed process, if there was one, and leave the note.

        Raises:
            StoreUnavailableError: another process serves the gallery, or it cannot be used.
            StoreFullError: the disk is full.
        """
        if self._note is None:
            return
        if self._note.exists():
            self.cleared_up = self._clear_up()
            if self.cleared_up:
                log.warning("removed %d chips of requests that were cut off", self.cleared_up)
        with disk_errors(f"write {self._note}"):
            self._settings.data_dir.mkdir(parents=True, exist_ok=True)
            replace_file(self._note, "removed when the service ends in order\n")

    def end(self) -> None:
        """All requests are answered and everything is closed."""
        if self._note is not None:
            with disk_errors(f"remove {self._note}"):
                self._note.unlink(missing_ok=True)

    def _clear_up(self) -> int:
        archive = open_archive(self._settings)
        with closing(archive), closing(open_chips(self._settings, abandoned_after_s=0.0)) as chips:
            return sweep(archive, chips, datetime.now(UTC), remove=True).removed
