"""Claims, see `identity/claims.py`, on a Qdrant server, where replicas meet.

A claim is one point of a collection without vectors. It is inserted only if there is none, or
replaced only if it is still the one that was seen; strongly ordered writes are decided in the same
order on every node, so that one of many wins.
"""

from uuid import UUID, uuid5

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.identity.records.claims import NameClaim
from service.storage.server.layout import STRONG, TOKEN

CLAIM_NAMESPACE = UUID("0d5e4a8e-93b1-5d0f-8a57-5b7c0c1f6d11")
RECORD = "record"
TRIES = 20


def claim_on_server(
    client: QdrantClient, collection: str, name: str, claim: NameClaim, instead_of: NameClaim | None
) -> NameClaim:
    """Insert or replace a claim, and read which one stands.

    Raises:
        StoreUnavailableError: none can be read after it was written: a node lags behind.
    """
    point = _point(name, claim)
    _write(client, collection, point, instead_of)
    for _ in range(TRIES):
        standing = _standing(client, collection, name)
        if standing is not None:
            return standing
        # The one that stood in the way was given up just now.
        _write(client, collection, point, None)
    raise StoreUnavailableError(f"{name} was claimed {TRIES} times and nobody holds it; ask again")


def renew_on_server(client: QdrantClient, collection: str, name: str, claim: NameClaim) -> bool:
    """Replace what is known of the claim, if it still stands; tells whether it does."""
    _write(client, collection, _point(name, claim), claim)
    standing = _standing(client, collection, name)
    return standing is not None and standing.token == claim.token


def _standing(client: QdrantClient, collection: str, name: str) -> NameClaim | None:
    majority = models.ReadConsistencyType.MAJORITY
    found = client.retrieve(collection, [_id(name)], consistency=majority)
    return NameClaim.model_validate_json((found[0].payload or {})[RECORD]) if found else None


def _point(name: str, claim: NameClaim) -> models.PointStruct:
    payload = {TOKEN: str(claim.token), RECORD: claim.model_dump_json()}
    return models.PointStruct(id=_id(name), vector={}, payload=payload)


def _write(
    client: QdrantClient, collection: str, point: models.PointStruct, instead_of: NameClaim | None
) -> None:
    """Insert the point if there is none, or replace this one and no other."""
    insert = instead_of is None
    client.upsert(
        collection,
        [point],
        wait=True,
        ordering=STRONG,
        update_mode=models.UpdateMode.INSERT_ONLY if insert else models.UpdateMode.UPDATE_ONLY,
        update_filter=None if instead_of is None else models.Filter(must=[_is(instead_of)]),
    )


def give_up_on_server(client: QdrantClient, collection: str, name: str, claim: NameClaim) -> None:
    """Remove the claim if it is still this one."""
    mine = models.Filter(must=[models.HasIdCondition(has_id=[_id(name)]), _is(claim)])
    client.delete(collection, models.FilterSelector(filter=mine), wait=True, ordering=STRONG)


def _is(claim: NameClaim) -> models.FieldCondition:
    return models.FieldCondition(key=TOKEN, match=models.MatchValue(value=str(claim.token)))


def _id(name: str) -> str:
    return str(uuid5(CLAIM_NAMESPACE, name))
