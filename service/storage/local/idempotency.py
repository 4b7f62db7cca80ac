"""Answers by idempotency key, kept in the memory of this process."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.access.idempotency import IdempotencyClaim, IdempotencyState, StoredResponse

MOST_BYTES = 64_000_000


ENTRY_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a claim holds unless it is renewed, and how long an answer is kept."""

    claim_s: float
    answer_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept under a key; `answer` is None while the request is being answered."""

    fingerprint: str
    ticket: str
    answer: StoredResponse | None
    expires_at: float

    @property
    def size(self) -> int:
        body = self.answer.body if self.answer else None
        return ENTRY_BYTES + len(body or b"")

    def found_by(self, fingerprint: str) -> IdempotencyClaim:
        """Tell what a request with this fingerprint finds."""
        if fingerprint != self.fingerprint:
            return IdempotencyClaim(IdempotencyState.DIFFERENT)
        if self.answer is None:
            return IdempotencyClaim(IdempotencyState.PENDING)
        return IdempotencyClaim(IdempotencyState.DONE, answer=self.answer)


class MemoryIdempotencyStore:
    """Keep answers in this process; beyond `most_bytes` the oldest answers are dropped."""

    def __init__(
        self,
        lifetimes: Lifetimes,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetimes = lifetimes
        self._most_bytes = most_bytes
        self._clock = clock
        self._turn = threading.Lock()
        self._pending: dict[str, Entry] = {}
        self._answered: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        with self._turn:
            now = self._clock()
            self._expire(now)
            held = self._pending.get(key) or self._answered.get(key)
            if held is not None and held.expires_at > now:
                return held.found_by(fingerprint)
            ticket = secrets.token_hex(16)
            self._pending[key] = Entry(fingerprint, ticket, None, now + self._lifetimes.claim_s)
            return IdempotencyClaim(IdempotencyState.CLAIMED, ticket)

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        with self._turn:
            held = self._pending.get(key)
            if held is not None and held.ticket == ticket:
                until = self._clock() + self._lifetimes.claim_s
                self._pending[key] = replace(held, expires_at=until)

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredResponse) -> None:
        with self._turn:
            held = self._pending.get(key)
            if key in self._answered or (held is not None and held.ticket != ticket):
                return
            self._pending.pop(key, None)
            expires_at = self._clock() + self._lifetimes.answer_s
            entry = Entry(fingerprint, ticket, answer, expires_at)
            self._answered[key] = entry
            self._bytes += entry.size
            while self._bytes > self._most_bytes:
                self._drop_oldest()

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        with self._turn:
            held = self._pending.get(key)
            if held is not None and held.ticket == ticket:
                del self._pending[key]

    def _expire(self, now: float) -> None:
        """Answers all live equally long, so the first ones expire first."""
        while self._answered and next(iter(self._answered.values())).expires_at <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, entry = self._answered.popitem(last=False)
        self._bytes -= entry.size
