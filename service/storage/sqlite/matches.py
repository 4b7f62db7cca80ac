"""Match records in an SQLite file.

The file has no lock of its own: the gallery beside it must be open (`GalleryFolder` holds its lock)
from before the match records are opened until after they are closed.
"""

from pathlib import Path

from service.storage.points import match_payloads as fields
from service.storage.points.matches import PointMatches
from service.storage.sqlite.table import Fields, PointTable

RARE = (fields.CASE, fields.STATE, fields.UNSETTLED, fields.UNANNOUNCED)
FIELDS = Fields(
    words=(fields.VERDICT, fields.STANDING, fields.MODALITY, fields.ASKED_AT, *RARE),
    indexed=RARE,
    lists=fields.IDS,
    positions=(fields.PLACE,),
)


class SqliteMatchStore(PointMatches):
    """A `MatchStore` in a file."""

    _matches: PointTable

    def __init__(self, path: Path) -> None:
        """Open the file or create it.

        Args:
            path: the file; the caller has the gallery beside it open.

        Raises:
            StoreUnavailableError: the file is damaged, or cannot be used.
            StoreFullError: the disk is full.
        """
        self._matches = PointTable(path, FIELDS)

    def ping(self) -> None:
        self._matches.ping()

    def close(self) -> None:
        self._matches.close()
