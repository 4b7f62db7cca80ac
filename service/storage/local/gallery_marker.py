"""Markers of a whole gallery, which every replica sees and which outlast the process.

A marker is a file in the data folder, and also a claim where replicas share a gallery, so that a
replica with a fresh data folder sees it too.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID

from service.contract.durable_files import replace_file, sync_folder
from service.contract.utc_time import utc_now
from service.identity.ports.claims import ClaimStore
from service.identity.records.claims import NameClaim
from service.storage.local.disk_errors import disk_errors

TOKEN = UUID("6f1d7c1e-52a0-4a0e-8f5e-0b6f5f1f9a42")
"""The token of each replica's claim, because all state the same fact; no vessel is claimed."""


class GalleryMarker:
    """A marker that something was done, or is under way."""

    def __init__(
        self, path: Path, text: str, open_claims: Callable[[], ClaimStore] | None = None
    ) -> None:
        """Open nothing yet.

        Args:
            path: the file, in the data folder; its name is also the name of the claim.
            open_claims: opens the claims that replicas share; None for the data folder alone.
        """
        self._path = path
        self._text = text
        self._open_claims = open_claims

    def is_set(self) -> bool:
        """Return whether the marker is set; raise StoreUnavailableError if that is unknown."""
        if self._path.exists():
            return True
        if self._open_claims is None:
            return False
        with closing(self._open_claims()) as claims:
            return claims.renew(self._path.name, _claim())

    def set(self) -> None:
        """Set the marker; a repeat changes nothing.

        Raises:
            StoreUnavailableError, StoreFullError: it cannot be written.
        """
        if not self._path.exists():
            with disk_errors(f"write {self._path}"):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(self._path, f"{self._text}\n")
        if self._open_claims is not None:
            with closing(self._open_claims()) as claims:
                claims.claim(self._path.name, _claim(), None)

    def clear(self) -> None:
        """Remove the marker; raise StoreUnavailableError if it cannot be removed."""
        if self._open_claims is not None:
            with closing(self._open_claims()) as claims:
                claims.release(self._path.name, _claim())
        with disk_errors(f"remove {self._path}"):
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)


def _claim() -> NameClaim:
    return NameClaim(token=TOKEN, vessel_id=TOKEN, made_at=utc_now())
