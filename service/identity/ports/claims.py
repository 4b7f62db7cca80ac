"""The port of the claim store: names that one change at a time may hold."""

from typing import Protocol

from service.identity.records.claims import NameClaim


class ClaimStore(Protocol):
    """Claims on names, such as an IMO number or a vessel id. Safe to call from many threads.

    All methods raise `StoreUnavailableError` when the store does not answer.
    """

    def claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        """Claim a name; when several claims are made at the same time, exactly one stands.

        Args:
            name: what is claimed, e.g. an IMO number.
            instead_of: the standing claim that this claim replaces; None when there is none.

        Returns:
            the claim that stands now.
        """

    def renew(self, name: str, claim: NameClaim) -> bool:
        """Write the new time of a claim if it is still held; return whether it is."""

    def release(self, name: str, claim: NameClaim) -> None:
        """Remove a claim; a claim with another token stays."""

    def close(self) -> None:
        """Close the connection to the store."""
