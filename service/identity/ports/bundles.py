"""The port of the bundle store: installed bundles by their id."""

from pathlib import Path
from typing import Protocol

from service.contract.bundle import Bundle


class BundleStore(Protocol):
    """Installed bundles by id, from where every service takes those that its gallery moves to.

    All raise `StoreUnavailableError` or `StoreFullError` when the shelf fails.
    """

    def ids(self) -> list[str]: ...

    def put(self, bundle: Bundle) -> None:
        """Install a bundle, all of it or nothing; one that is there changes nothing."""
        ...

    def find(self, bundle_id: str) -> Path | None:
        """A folder of this machine with the bundle, its content verified; None: not installed.

        Raises:
            BundleError: what is installed is damaged.
        """
        ...

    def close(self) -> None: ...
