"""The collections of a cluster that has grown get copies on all nodes."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from service.storage.server.replication import Replication
from tests.support.doubles.qdrant_cluster import QdrantCluster, running_cluster
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.records import BUNDLE, WIDTH, make_vessel

SIGHTINGS = f"crossfix-sightings-{BUNDLE}"


@pytest.fixture
def cluster() -> Iterator[QdrantCluster]:
    with running_cluster() as one:
        yield one


def create_on_two_nodes(cluster: QdrantCluster) -> None:
    """Create collections on two of three nodes."""
    with closing(ServerGallery(ServerConnection(cluster.urls), BUNDLE, WIDTH)) as gallery:
        gallery.put_vessel(make_vessel())
    for collection in ("crossfix-vessels", SIGHTINGS):
        cluster.holders[collection] = {1, 2}
        cluster.active[collection] = {1, 2}
        for node in cluster.nodes:
            kept = node.stored_as[collection]
            kept.replication_factor = kept.write_consistency_factor = 2
        vessels, _ = cluster.nodes[0].store.scroll(collection)
        if vessels:
            cluster.nodes[0].store.delete(collection, [one.id for one in vessels])


def test_collections_of_two_copies_get_a_third_one(cluster: QdrantCluster) -> None:
    create_on_two_nodes(cluster)
    with closing(Replication(ServerConnection(cluster.urls))) as replication:
        listed = [(step.collection, step.does) for step in replication.steps(3)]
        assert cluster.active["crossfix-vessels"] == {1, 2}, "listing changes nothing"
        told = [
            "asks for 3 copies of each shard, and acknowledges a write when 2 have it",
            "copies shard 0 from node 1 to node 0",
        ]
        for name in ("crossfix-vessels", SIGHTINGS):
            assert [does for collection, does in listed if collection == name] == told
        for step in replication.steps(3):
            step.run()
        assert list(replication.steps(3)) == []
    assert cluster.active["crossfix-vessels"] == {0, 1, 2}
    copied, _ = cluster.nodes[0].store.scroll("crossfix-vessels")
    assert len(copied) == 1


def test_a_new_collection_is_on_disk_and_a_single_node_needs_no_change() -> None:
    with running_qdrant() as double:
        with closing(ServerGallery(ServerConnection(double.url), BUNDLE, WIDTH)) as gallery:
            gallery.put_vessel(make_vessel())
        with closing(Replication(ServerConnection(double.url))) as replication:
            assert list(replication.steps(3)) == []
        assert double.stored_as[SIGHTINGS].on_disk_payload
        assert double.stored_as[SIGHTINGS].vectors_on_disk
