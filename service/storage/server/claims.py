"""Claims on a Qdrant server, where several replicas meet.

A claim is one point of a collection without vectors. It is inserted only if the name has none, or
replaced only if the point is still the claim that was read before. Strongly ordered writes are
decided in the same order on every node, so that exactly one of several claims stands.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid5

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.claims import NameClaim
from service.storage.server.connection import connect, ensure_collection, translated
from service.storage.server.layout import CLAIM_INDEXES, STRONG, TOKEN, Layout

CLAIM_NAMESPACE = UUID("0d5e4a8e-93b1-5d0f-8a57-5b7c0c1f6d11")
RECORD = "record"
TRIES = 20


def open_server_claims(
    client_or_url: QdrantClient | str,
    api_key: str | None = None,
    timeout_s: float = 5.0,
    prefix: str = "crossfix",
) -> "ServerClaimStore":
    """Open the claims on a server; the first request is sent when the store is first used.

    Args:
        client_or_url: the server's address, or a client to use as it is.
        api_key: sent with every request.
        timeout_s: seconds after which a request counts as unanswered.
        prefix: begins the name of the collection.
    """
    if isinstance(client_or_url, str):
        client = connect(client_or_url, api_key, timeout_s)
        return ServerClaimStore(client, client_or_url, prefix)
    return ServerClaimStore(client_or_url, "the given client", prefix)


class ServerClaimStore:
    """A `ClaimStore` whose claims all replicas see."""

    def __init__(self, client: QdrantClient, address: str, prefix: str) -> None:
        """Use `open_server_claims`."""
        self._client = client
        self._address = address
        self._collection = Layout(prefix).claims
        self._preparing = threading.Lock()
        self._prepared = False
        self._closed = False

    def claim(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> NameClaim:
        """Insert or replace a claim, and read which one stands; see `ClaimStore.claim`.

        Raises:
            StoreUnavailableError: no claim can be read after it was written: a node lags behind.
        """
        with self._connection():
            self._write(name, claim, instead_of)
            for _ in range(TRIES):
                standing = self._standing(name)
                if standing is not None:
                    return standing
                # The standing claim was released between the write and the read.
                self._write(name, claim, None)
        raise StoreUnavailableError(
            f"{name} was claimed {TRIES} times and no claim can be read; ask again"
        )

    def renew(self, name: str, claim: NameClaim) -> bool:
        with self._connection():
            self._write(name, claim, claim)
            standing = self._standing(name)
        return standing is not None and standing.token == claim.token

    def release(self, name: str, claim: NameClaim) -> None:
        same = models.Filter(must=[models.HasIdCondition(has_id=[_id(name)]), _has_token(claim)])
        with self._connection() as client:
            points = models.FilterSelector(filter=same)
            client.delete(self._collection, points, wait=True, ordering=STRONG)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.close()

    @contextmanager
    def _connection(self) -> Iterator[QdrantClient]:
        """Yield the client with the collection in place; its errors are translated."""
        if self._closed:
            raise StoreUnavailableError("the claim store was closed")
        with translated(self._address):
            if not self._prepared:
                with self._preparing:
                    ensure_collection(self._client, self._collection, None, CLAIM_INDEXES)
                    self._prepared = True
            yield self._client

    def _standing(self, name: str) -> NameClaim | None:
        majority = models.ReadConsistencyType.MAJORITY
        found = self._client.retrieve(self._collection, [_id(name)], consistency=majority)
        if not found:
            return None
        return NameClaim.model_validate_json((found[0].payload or {})[RECORD])

    def _write(self, name: str, claim: NameClaim, instead_of: NameClaim | None) -> None:
        """Insert the claim if the name has none, or replace the claim `instead_of`."""
        payload = {TOKEN: str(claim.token), RECORD: claim.model_dump_json()}
        insert = instead_of is None
        self._client.upsert(
            self._collection,
            [models.PointStruct(id=_id(name), vector={}, payload=payload)],
            wait=True,
            ordering=STRONG,
            update_mode=(
                models.UpdateMode.INSERT_ONLY if insert else models.UpdateMode.UPDATE_ONLY
            ),
            update_filter=(
                None if instead_of is None else models.Filter(must=[_has_token(instead_of)])
            ),
        )


def _has_token(claim: NameClaim) -> models.FieldCondition:
    return models.FieldCondition(key=TOKEN, match=models.MatchValue(value=str(claim.token)))


def _id(name: str) -> str:
    return str(uuid5(CLAIM_NAMESPACE, name))
