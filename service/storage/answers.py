"""Answers by idempotency key: in this process, or in Redis for all replicas."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from service.identity.access import AnswerStore, Claim, ClaimState, StoredAnswer
from service.storage.redis_link import RedisAwayError, RedisLink

KEY_PREFIX = "crossfix:answer:"
MOST_BYTES = 64_000_000
ENTRY_BYTES = 1000

# KEYS[1]: the answer's name; ARGV[1]: what a claim looks like; ARGV[2]: its milliseconds.
CLAIM = """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
# ARGV[1]: the claim; ARGV[2]: its milliseconds.
RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
# ARGV[1]: the claim; ARGV[2]: the answer; ARGV[3]: its milliseconds. A lost claim is no obstacle.
FINISH = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


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
    answer: StoredAnswer | None
    expires_at: float

    @property
    def size(self) -> int:
        body = self.answer.body if self.answer else None
        return ENTRY_BYTES + len(body or b"")

    def found_by(self, fingerprint: str) -> Claim:
        """What a request with this fingerprint is told."""
        if fingerprint != self.fingerprint:
            return Claim(ClaimState.OTHER)
        if self.answer is None:
            return Claim(ClaimState.PENDING)
        return Claim(ClaimState.DONE, answer=self.answer)


class MemoryAnswers:
    """An `AnswerStore` of this process; beyond `most_bytes` the oldest answers are forgotten."""

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

    def claim(self, key: str, fingerprint: str) -> Claim:
        with self._turn:
            now = self._clock()
            self._expire(now)
            held = self._pending.get(key) or self._answered.get(key)
            if held is not None and held.expires_at > now:
                return held.found_by(fingerprint)
            ticket = secrets.token_hex(16)
            self._pending[key] = Entry(fingerprint, ticket, None, now + self._lifetimes.claim_s)
            return Claim(ClaimState.MINE, ticket)

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        with self._turn:
            held = self._pending.get(key)
            if held is not None and held.ticket == ticket:
                until = self._clock() + self._lifetimes.claim_s
                self._pending[key] = replace(held, expires_at=until)

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredAnswer) -> None:
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


class SharedAnswers:
    """An `AnswerStore` of all replicas; each also remembers its own, for when Redis is away."""

    def __init__(self, link: RedisLink, lifetimes: Lifetimes, own: AnswerStore) -> None:
        self._link = link
        self._claim_ms = round(lifetimes.claim_s * 1000)
        self._answer_ms = round(lifetimes.answer_s * 1000)
        self._own = own

    def claim(self, key: str, fingerprint: str) -> Claim:
        mine = self._own.claim(key, fingerprint)
        if mine.state is not ClaimState.MINE:
            return mine
        try:
            theirs = self._claim_there(key, fingerprint, mine.ticket)
        except RedisAwayError:
            return mine
        if theirs is None:
            return mine
        self._own.release(key, fingerprint, mine.ticket)
        return theirs

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        self._own.renew(key, fingerprint, ticket)
        claim = _pack(fingerprint, ticket, None)
        with suppress(RedisAwayError):
            self._link.ask(lambda redis: redis.eval(RENEW, 1, _name(key), claim, self._claim_ms))

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredAnswer) -> None:
        self._own.finish(key, fingerprint, ticket, answer)
        claim, kept = _pack(fingerprint, ticket, None), _pack(fingerprint, ticket, answer)
        with suppress(RedisAwayError):
            self._link.ask(
                lambda redis: redis.eval(FINISH, 1, _name(key), claim, kept, self._answer_ms)
            )

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        self._own.release(key, fingerprint, ticket)
        claim = _pack(fingerprint, ticket, None)
        with suppress(RedisAwayError):
            self._link.ask(lambda redis: redis.eval(RELEASE, 1, _name(key), claim))

    def _claim_there(self, key: str, fingerprint: str, ticket: str) -> Claim | None:
        """What another replica holds; None when the claim is ours, or theirs is unreadable."""
        claim = _pack(fingerprint, ticket, None)
        held = self._link.ask(lambda redis: redis.eval(CLAIM, 1, _name(key), claim, self._claim_ms))
        entry = _unpack(held) if isinstance(held, bytes) else None
        return None if entry is None else entry.found_by(fingerprint)


def _name(key: str) -> str:
    """The name in Redis tells nothing of the key."""
    return KEY_PREFIX + hashlib.sha256(key.encode()).hexdigest()


def _pack(fingerprint: str, ticket: str, answer: StoredAnswer | None) -> bytes:
    document: dict[str, Any] = {"fingerprint": fingerprint, "ticket": ticket}
    if answer is not None:
        body = None if answer.body is None else base64.b64encode(answer.body).decode()
        document |= {"status": answer.status, "headers": answer.headers, "body": body}
    return json.dumps(document, separators=(",", ":")).encode()


def _unpack(raw: bytes) -> Entry | None:
    """Another replica's entry; None when it is damaged."""
    try:
        document = json.loads(raw)
        answer = None
        if "status" in document:
            body = document["body"]
            answer = StoredAnswer(
                int(document["status"]),
                tuple((str(name), str(value)) for name, value in document["headers"]),
                None if body is None else base64.b64decode(body, validate=True),
            )
        return Entry(str(document["fingerprint"]), str(document["ticket"]), answer, 0.0)
    except (ValueError, KeyError, TypeError):
        return None
