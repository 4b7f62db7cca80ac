"""The command `crossfix collections` on a cluster with collections of older settings."""

import json
from contextlib import closing

from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from tests.support.doubles.qdrant_cluster import running_cluster
from tests.support.processes.cli import crossfix

CLAIMS = "crossfix-claims"


def test_it_says_what_it_would_do_and_does_it_when_told() -> None:
    with running_cluster() as cluster:
        with closing(ServerClaimStore(ServerConnection(cluster.urls))) as claims:
            claims._connection.call(lambda _: None)
        cluster.holders[CLAIMS] = {1, 2}
        cluster.active[CLAIMS] = {1, 2}

        def collections(*arguments: str) -> str:
            place = {"CROSSFIX_QDRANT_URL": ",".join(cluster.urls)}
            done = crossfix("collections", *arguments, **place)
            assert done.returncode == 0, done.stderr
            return done.stdout

        raised = "asks for 3 copies of each shard, and acknowledges a write when 2 have it"
        copied = "copies shard 0 from node 1 to node 0"
        changes = [f"{CLAIMS}: {raised}", f"{CLAIMS}: {copied}"]
        listed = collections().splitlines()
        assert listed == [*changes, "nothing was changed; --apply makes these changes"]
        assert cluster.active[CLAIMS] == {1, 2}
        assert collections("--apply").splitlines() == changes
        assert cluster.active[CLAIMS] == {0, 1, 2}
        assert cluster.nodes[0].stored_as[CLAIMS].write_consistency_factor == 2
        assert json.loads(collections("--json")) == {"applied": False, "changes": []}


def test_an_embedded_gallery_has_none() -> None:
    done = crossfix("collections")
    assert done.returncode == 2
    assert "CROSSFIX_QDRANT_URL is not set" in done.stderr
