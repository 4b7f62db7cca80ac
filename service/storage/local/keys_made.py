"""Remember, outside the key file, that API keys were made.

A key file that was lost or emptied must not open the service to everybody. The data folder holds a
marker file, and a gallery that replicas share holds a claim, so that a replica with a fresh data
folder knows it too. Neither is ever removed by the service.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from service.contract.durable_files import replace_file
from service.identity.ports.claims import ClaimStore
from service.identity.records.claims import NameClaim
from service.storage.local.disk_errors import disk_errors

MARKER_NAME = "keys-required"
CLAIM_NAME = "api keys were made"
TOKEN = UUID("6f1d7c1e-52a0-4a0e-8f5e-0b6f5f1f9a42")
"""One token for all replicas, which all note the same fact; the claim is on behalf of no vessel."""


class KeysMade:
    """Notes that keys were made, in the data folder and among the claims."""

    def __init__(self, folder: Path, open_claims: Callable[[], ClaimStore] | None = None) -> None:
        """Open nothing yet.

        Args:
            folder: the data folder.
            open_claims: opens the claims that replicas share; None for the data folder alone.
        """
        self._marker = folder / MARKER_NAME
        self._open_claims = open_claims

    def noted(self) -> bool:
        """Return whether keys were made; raise StoreUnavailableError if that cannot be read."""
        if self._marker.exists():
            return True
        if self._open_claims is None:
            return False
        with closing(self._open_claims()) as claims:
            return claims.renew(CLAIM_NAME, _claim())

    def note(self) -> None:
        """Note that keys were made.

        Raises:
            StoreUnavailableError, StoreFullError: it cannot be written.
        """
        if not self._marker.exists():
            with disk_errors(f"write {self._marker}"):
                self._marker.parent.mkdir(parents=True, exist_ok=True)
                replace_file(self._marker, "API keys were made: every request needs one\n")
        if self._open_claims is not None:
            with closing(self._open_claims()) as claims:
                claims.claim(CLAIM_NAME, _claim(), None)


def _claim() -> NameClaim:
    return NameClaim(token=TOKEN, vessel_id=TOKEN, made_at=datetime.now(UTC))
