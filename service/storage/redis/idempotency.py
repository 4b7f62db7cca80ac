"""Answers by idempotency key, kept in Redis for all replicas."""

import base64
import hashlib
import json
from contextlib import suppress
from typing import Any

from service.access.idempotency import (
    IdempotencyClaim,
    IdempotencyState,
    IdempotencyStore,
    StoredResponse,
)
from service.storage.local.idempotency import Entry, Lifetimes
from service.storage.redis.link import RedisAwayError, RedisLink

KEY_PREFIX = "crossfix:answer:"


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


class RedisIdempotencyStore:
    """Keep answers in Redis for all replicas, and in this process while Redis is away."""

    def __init__(self, link: RedisLink, lifetimes: Lifetimes, own: IdempotencyStore) -> None:
        self._link = link
        self._claim_ms = round(lifetimes.claim_s * 1000)
        self._answer_ms = round(lifetimes.answer_s * 1000)
        self._own = own

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        mine = self._own.claim(key, fingerprint)
        if mine.state is not IdempotencyState.CLAIMED:
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

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredResponse) -> None:
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

    def _claim_there(self, key: str, fingerprint: str, ticket: str) -> IdempotencyClaim | None:
        """What another replica holds; None when the claim is ours, or theirs is unreadable."""
        claim = _pack(fingerprint, ticket, None)
        held = self._link.ask(lambda redis: redis.eval(CLAIM, 1, _name(key), claim, self._claim_ms))
        entry = _unpack(held) if isinstance(held, bytes) else None
        return None if entry is None else entry.found_by(fingerprint)


def _name(key: str) -> str:
    """The name in Redis tells nothing of the key."""
    return KEY_PREFIX + hashlib.sha256(key.encode()).hexdigest()


def _pack(fingerprint: str, ticket: str, answer: StoredResponse | None) -> bytes:
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
            answer = StoredResponse(
                int(document["status"]),
                tuple((str(name), str(value)) for name, value in document["headers"]),
                None if body is None else base64.b64decode(body, validate=True),
            )
        return Entry(str(document["fingerprint"]), str(document["ticket"]), answer, 0.0)
    except (ValueError, KeyError, TypeError):
        return None
