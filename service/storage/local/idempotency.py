"""Responses by idempotency key, in the memory of this process."""

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from service.access.idempotency import IdempotencyClaim, IdempotencyState, StoredResponse

MAX_BYTES = 64_000_000
ENTRY_BYTES = 1000
"""Memory of an entry without its body, estimated."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds that a claim holds unless it is renewed, and that a response is kept."""

    claim_s: float
    response_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A request under its key; `response` is None while the request is being answered."""

    fingerprint: str
    ticket: str
    response: StoredResponse | None
    expires_at: float

    @property
    def size_bytes(self) -> int:
        """The memory of the entry, estimated."""
        body = self.response.body if self.response else None
        return ENTRY_BYTES + len(body or b"")

    def claimed_by(self, fingerprint: str) -> IdempotencyClaim:
        """Return the outcome of a claim by a request with this fingerprint."""
        if fingerprint != self.fingerprint:
            return IdempotencyClaim(IdempotencyState.DIFFERENT)
        if self.response is None:
            return IdempotencyClaim(IdempotencyState.PENDING)
        return IdempotencyClaim(IdempotencyState.DONE, answer=self.response)


class MemoryIdempotencyStore:
    """An `IdempotencyStore` of this process; beyond `max_bytes` it drops the oldest responses."""

    def __init__(self, lifetimes: Lifetimes, max_bytes: int = MAX_BYTES) -> None:
        self._lifetimes = lifetimes
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._pending: dict[str, Entry] = {}
        self._answered: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        with self._lock:
            now = time.monotonic()
            self._expire(now)
            entry = self._pending.get(key) or self._answered.get(key)
            if entry is not None and entry.expires_at > now:
                return entry.claimed_by(fingerprint)
            ticket = secrets.token_hex(16)
            self._pending[key] = Entry(fingerprint, ticket, None, now + self._lifetimes.claim_s)
            return IdempotencyClaim(IdempotencyState.CLAIMED, ticket)

    def renew(self, key: str, _fingerprint: str, ticket: str) -> None:
        with self._lock:
            entry = self._pending.get(key)
            if entry is not None and entry.ticket == ticket:
                expires_at = time.monotonic() + self._lifetimes.claim_s
                self._pending[key] = replace(entry, expires_at=expires_at)

    def finish(self, key: str, fingerprint: str, ticket: str, response: StoredResponse) -> None:
        with self._lock:
            claim = self._pending.get(key)
            if key in self._answered or (claim is not None and claim.ticket != ticket):
                return
            self._pending.pop(key, None)
            expires_at = time.monotonic() + self._lifetimes.response_s
            entry = Entry(fingerprint, ticket, response, expires_at)
            self._answered[key] = entry
            self._bytes += entry.size_bytes
            while self._bytes > self._max_bytes:
                self._drop_oldest()

    def release(self, key: str, _fingerprint: str, ticket: str) -> None:
        with self._lock:
            entry = self._pending.get(key)
            if entry is not None and entry.ticket == ticket:
                del self._pending[key]

    def _expire(self, now: float) -> None:
        """Drop expired responses; all live equally long, so the oldest expire first."""
        while self._answered and next(iter(self._answered.values())).expires_at <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, entry = self._answered.popitem(last=False)
        self._bytes -= entry.size_bytes
