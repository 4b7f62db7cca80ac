"""Claims on a Qdrant server, shared by any number of replicas.

A claim is one point of a collection without vectors. It is inserted only if the name has none, or
replaced only if the point is still the claim that was read before. A copy of the point holds one
claim at a time, and a claim stands only if a majority of the copies was read and all of them held
it: of two claims, at most one can have that (docs/shared-gallery.md). If a node dies while
replica A, and perhaps B, claims a name,

- before the insertion: it goes through another node;
- after one copy has the token of A: A repeats the insertion. If B inserted its token through
  another node meanwhile, the copies differ, and neither holds the claim: each removes its own
  token, and gives up or tries again;
- after two copies have it: A and B both read the token of A, so A holds the claim;
- between insertion and read: if both remaining copies have the token, A holds the claim; otherwise
  see the second case;
- during the removal: A repeats it; if that fails, only the same process can claim the name before
  the token expires.
"""

import random
import time
from uuid import UUID, uuid5

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.claims import NameClaim
from service.storage.points.filters import AnyOf, Condition
from service.storage.points.payloads import Payload, Point
from service.storage.points.record_digests import parse_intact, with_digest
from service.storage.server.collection import AGREED, Consistency, ServerCollection
from service.storage.server.connection import ServerConnection
from service.storage.server.filters import as_filter
from service.storage.server.layout import CLAIM_INDEXES, DEFAULT_PREFIX, TOKEN, Layout
from service.storage.server.preparing import ensure_collection

CLAIM_NAMESPACE = UUID("0d5e4a8e-93b1-5d0f-8a57-5b7c0c1f6d11")
RECORD = "record"
TRIES = 20
READINGS = 5
"""How often a claim is read until most copies agree."""

PAUSE_S = 0.05


class ServerClaimStore:
    """A `ClaimStore` whose claims all replicas see."""

    def __init__(self, connection: ServerConnection, prefix: str = DEFAULT_PREFIX) -> None:
        """Use a connection, which `close` closes; send nothing yet."""
        self._claims = ServerCollection(connection, Layout(prefix).claims)
        self._connection = connection
        connection.on_first_use(self._prepare)

    def claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        """Insert or replace a claim, and read which one stands; see `ClaimStore.claim`.

        If the copies do not agree on a claim, this one is withdrawn, and the other one returned:
        it may stand, but this one does not.

        Raises:
            StoreUnavailableError: no claim can be read after it was written.
        """
        if instead_of is not None:
            self._write(name, claim, instead_of)
        for _ in range(TRIES):
            self._write(name, claim, None)
            standing = self._standing(name)
            if standing is not None:
                return standing
            other = self._other_claim(name, claim)
            self.release(name, claim)
            if other is not None:
                return other
            # Released between the write and the read, or two claims withdrew for each other.
            time.sleep(random.uniform(0.0, PAUSE_S))
        raise StoreUnavailableError(
            f"{name} was claimed {TRIES} times but no claim can be read; repeat the request"
        )

    def renew(self, name: str, claim: NameClaim) -> bool:
        self._write(name, claim, claim)
        standing = self._standing(name)
        return standing is not None and standing.token == claim.token

    def release(self, name: str, claim: NameClaim) -> None:
        self._claims.delete([_id(name)], _has_token(claim))

    def close(self) -> None:
        self._connection.close()

    def _prepare(self, client: QdrantClient) -> None:
        ensure_collection(client, self._claims.name, None, CLAIM_INDEXES)

    def _standing(self, name: str) -> NameClaim | None:
        """Return the claim on which a majority of the copies agrees; None if there is none."""
        for _ in range(READINGS):
            standing = self._read(name, AGREED)
            if standing is not None or self._read(name, None) is None:
                return standing
            time.sleep(random.uniform(0.0, PAUSE_S))
        return None

    def _other_claim(self, name: str, claim: NameClaim) -> NameClaim | None:
        """Return a claim of another holder that some copy has."""
        for _ in range(READINGS):
            seen = self._read(name, None)
            if seen is not None and seen.token != claim.token:
                return seen
        return None

    def _read(self, name: str, consistency: Consistency) -> NameClaim | None:
        wanted = [str(_id(name))]
        found = self._connection.call(
            lambda client: client.retrieve(self._claims.name, wanted, consistency=consistency),
            needs_most=consistency is not None,
        )
        return claim_from(found[0].payload or {}) if found else None

    def _write(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> None:
        """Insert the claim if the name has none, or replace the claim `instead_of`."""
        payload = {TOKEN: str(claim.token), RECORD: claim.model_dump_json()}
        if instead_of is None:
            mode, where = models.UpdateMode.INSERT_ONLY, None
        else:
            mode, where = models.UpdateMode.UPDATE_ONLY, as_filter(_has_token(instead_of))
        point = Point(_id(name), None, with_digest(payload))
        self._claims.put([point], update_mode=mode, update_filter=where)


def claim_from(payload: Payload) -> NameClaim:
    """Return the claim of a payload; raise StoreDamagedError if it is damaged."""
    return parse_intact(payload, (RECORD, TOKEN), "claim", NameClaim.model_validate_json)


def _has_token(claim: NameClaim) -> Condition:
    return Condition((AnyOf(TOKEN, [str(claim.token)]),))


def _id(name: str) -> UUID:
    return uuid5(CLAIM_NAMESPACE, name)
