"""The port of the bundle store."""

from pathlib import Path
from typing import Protocol

from service.contract.bundle import Bundle


class BundleStore(Protocol):
    """Installed bundles by id; services load the bundle that the gallery is moved to from here.

    All methods raise `StoreUnavailableError` or `StoreFullError` when the store fails.
    """

    def ids(self) -> list[str]:
        """Return the ids of all installed bundles."""

    def put(self, bundle: Bundle) -> None:
        """Install a bundle completely or not at all; an installed bundle stays as it is."""

    def find(self, bundle_id: str) -> Path | None:
        """Return a local folder with the verified bundle; None when it is not installed.

        Raises:
            BundleError: the installed bundle is damaged.
        """

    def close(self) -> None:
        """Close the connection or files of the store."""
