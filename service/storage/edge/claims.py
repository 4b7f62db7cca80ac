"""Claims, see `identity/claims.py`, of a gallery that one process has open; its end ends them."""

import threading

from service.identity.records.claims import NameClaim


class MemoryClaims:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._standing: dict[str, NameClaim] = {}
        self._turn = threading.Lock()

    def claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        with self._turn:
            if self._standing.get(name) == instead_of:
                self._standing[name] = claim
            return self._standing.get(name, claim)

    def renew(self, name: str, claim: NameClaim) -> bool:
        with self._turn:
            if not self._stands(name, claim):
                return False
            self._standing[name] = claim
            return True

    def give_up(self, name: str, claim: NameClaim) -> None:
        with self._turn:
            if self._stands(name, claim):
                del self._standing[name]

    def _stands(self, name: str, claim: NameClaim) -> bool:
        standing = self._standing.get(name)
        return standing is not None and standing.token == claim.token
