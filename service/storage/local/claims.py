"""Claims in the memory of the only process that has a gallery open."""

import threading

from service.identity.records.claims import NameClaim


class MemoryClaimStore:
    """A `ClaimStore` whose claims end with the process."""

    def __init__(self) -> None:
        self._claims: dict[str, NameClaim] = {}
        self._lock = threading.Lock()

    def claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        with self._lock:
            if self._claims.get(name) == instead_of:
                self._claims[name] = claim
            return self._claims.get(name, claim)

    def renew(self, name: str, claim: NameClaim) -> bool:
        with self._lock:
            if not self._stands(name, claim):
                return False
            self._claims[name] = claim
            return True

    def release(self, name: str, claim: NameClaim) -> None:
        with self._lock:
            if self._stands(name, claim):
                del self._claims[name]

    def close(self) -> None:
        return

    def _stands(self, name: str, claim: NameClaim) -> bool:
        standing = self._claims.get(name)
        return standing is not None and standing.token == claim.token
