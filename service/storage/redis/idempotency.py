"""Responses by idempotency key in Redis, shared by all replicas."""

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
from service.storage.redis.link import RedisLink, RedisUnavailableError

KEY_PREFIX = "crossfix:answer:"

# In all scripts KEYS[1] is the idempotency key, and ARGV[1] the claim.
# ARGV[2]: the lifetime of the claim in ms.
CLAIM = """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""

# ARGV[2]: the lifetime of the claim in ms.
RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""

# ARGV[2]: the response; ARGV[3]: its lifetime in ms. A claim that expired may still be finished.
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
    """An `IdempotencyStore` of all replicas; each replica has its own while Redis fails."""

    def __init__(self, link: RedisLink, lifetimes: Lifetimes, local: IdempotencyStore) -> None:
        self._link = link
        self._claim_ms = round(lifetimes.claim_s * 1000)
        self._response_ms = round(lifetimes.response_s * 1000)
        self._local = local

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        local = self._local.claim(key, fingerprint)
        if local.state is not IdempotencyState.CLAIMED:
            return local
        try:
            shared = self._claim_shared(key, fingerprint, local.ticket)
        except RedisUnavailableError:
            return local
        if shared is None:
            return local
        self._local.release(key, fingerprint, local.ticket)
        return shared

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        self._local.renew(key, fingerprint, ticket)
        claim = _pack(fingerprint, ticket, None)
        with suppress(RedisUnavailableError):
            self._link.run(lambda redis: redis.eval(RENEW, 1, _name(key), claim, self._claim_ms))

    def finish(self, key: str, fingerprint: str, ticket: str, response: StoredResponse) -> None:
        self._local.finish(key, fingerprint, ticket, response)
        claim, answer = _pack(fingerprint, ticket, None), _pack(fingerprint, ticket, response)
        with suppress(RedisUnavailableError):
            self._link.run(
                lambda redis: redis.eval(FINISH, 1, _name(key), claim, answer, self._response_ms)
            )

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        self._local.release(key, fingerprint, ticket)
        claim = _pack(fingerprint, ticket, None)
        with suppress(RedisUnavailableError):
            self._link.run(lambda redis: redis.eval(RELEASE, 1, _name(key), claim))

    def _claim_shared(self, key: str, fingerprint: str, ticket: str) -> IdempotencyClaim | None:
        """Claim the key in Redis.

        Returns:
            the state of the entry that another replica has there; None when the claim succeeded, or
            the entry is unreadable.
        """
        claim = _pack(fingerprint, ticket, None)
        stored = self._link.run(
            lambda redis: redis.eval(CLAIM, 1, _name(key), claim, self._claim_ms)
        )
        entry = _unpack(stored) if isinstance(stored, bytes) else None
        return None if entry is None else entry.claimed_by(fingerprint)


def _name(key: str) -> str:
    """Return the name in Redis, which does not reveal the idempotency key."""
    return KEY_PREFIX + hashlib.sha256(key.encode()).hexdigest()


def _pack(fingerprint: str, ticket: str, response: StoredResponse | None) -> bytes:
    document: dict[str, Any] = {"fingerprint": fingerprint, "ticket": ticket}
    if response is not None:
        body = None if response.body is None else base64.b64encode(response.body).decode()
        document |= {"status": response.status, "headers": response.headers, "body": body}
    return json.dumps(document, separators=(",", ":")).encode()


def _unpack(raw: bytes) -> Entry | None:
    """Return the entry of a replica; None when it is damaged."""
    try:
        document = json.loads(raw)
        response = None
        if "status" in document:
            body = document["body"]
            response = StoredResponse(
                int(document["status"]),
                tuple((str(name), str(value)) for name, value in document["headers"]),
                None if body is None else base64.b64decode(body, validate=True),
            )
        return Entry(str(document["fingerprint"]), str(document["ticket"]), response, 0.0)
    except (ValueError, KeyError, TypeError):
        return None
