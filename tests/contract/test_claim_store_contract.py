"""What every `ClaimStore` does, the server adapter also over HTTP and on a cluster.

`real_qdrant.py` adds a real Qdrant server, where the environment names one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from service.identity.ports.claims import ClaimStore
from service.identity.records.claims import NameClaim
from service.storage.local.claims import MemoryClaimStore
from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from tests.support.doubles.qdrant_cluster import running_cluster
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.records import START
from tests.support.real_qdrant import REAL_KINDS, real_server

KINDS = ["process", "http", "cluster", *REAL_KINDS]


@pytest.fixture(params=KINDS)
def claims(request: pytest.FixtureRequest) -> Iterator[ClaimStore]:
    if request.param == "process":
        yield MemoryClaimStore()
    elif request.param == "http":
        with running_qdrant() as double:
            remote = ServerClaimStore(ServerConnection(double.url))
            yield remote
            remote.close()
    elif request.param == "cluster":
        with running_cluster() as cluster:
            several = ServerClaimStore(ServerConnection(cluster.urls))
            yield several
            several.close()
    else:
        with real_server() as (connect, prefix):
            real = ServerClaimStore(connect(), prefix=prefix)
            yield real
            real.close()


def make_claim() -> NameClaim:
    return NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=START)


def test_a_claim_stands_until_it_is_released(claims: ClaimStore) -> None:
    first, second = make_claim(), make_claim()
    assert claims.claim("9074729", first, None) == first
    assert claims.claim("9074729", second, None) == first
    assert claims.claim("9176187", second, None) == second
    claims.release("9074729", second)
    assert claims.claim("9074729", second, None) == first
    claims.release("9074729", first)
    assert claims.claim("9074729", second, None) == second


def test_a_claim_is_replaced_only_by_naming_the_standing_claim(claims: ClaimStore) -> None:
    old, new, late = make_claim(), make_claim(), make_claim()
    claims.claim("9074729", old, None)
    assert claims.claim("9074729", new, instead_of=old) == new
    assert claims.claim("9074729", late, instead_of=old) == new


def test_a_claim_is_renewed_while_it_stands(claims: ClaimStore) -> None:
    first, second = make_claim(), make_claim()
    assert not claims.renew("9074729", first), "the claim was never made"
    assert claims.claim("9074729", second, None) == second, "renewing does not make the claim"
    assert not claims.renew("9074729", first)
    later = second.model_copy(update={"made_at": START + timedelta(hours=1)})
    assert claims.renew("9074729", later)
    assert claims.claim("9074729", first, None) == later
    claims.release("9074729", second)
    assert claims.claim("9074729", first, None) == first


def test_one_of_many_concurrent_claims_stands(claims: ClaimStore) -> None:
    for name in "abcde":
        several = [make_claim() for _ in range(8)]
        with ThreadPoolExecutor(len(several)) as pool:
            standing = list(pool.map(partial(claim_name, claims, name), several))
        assert len({claim.token for claim in standing}) == 1


def claim_name(claims: ClaimStore, name: str, claim: NameClaim) -> NameClaim:
    return claims.claim(name, claim, None)
