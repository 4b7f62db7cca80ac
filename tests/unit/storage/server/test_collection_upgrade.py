"""Bringing collections of older settings to those of today, while services use them."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from qdrant_client import models

from service.storage.server.claims import ServerClaimStore
from service.storage.server.collection_upgrade import CollectionUpgrade
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from tests.support.doubles.qdrant_cluster import QdrantCluster, running_cluster
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.records import BUNDLE, WIDTH, make_vessel

SIGHTINGS = f"crossfix-sightings-{BUNDLE}"


@pytest.fixture
def cluster() -> Iterator[QdrantCluster]:
    with running_cluster() as one:
        yield one


def create_as_before(cluster: QdrantCluster) -> None:
    """Create a collection as earlier versions did, on two of three nodes."""
    with closing(ServerGallery(ServerConnection(cluster.urls), BUNDLE, WIDTH)) as gallery:
        gallery.put_vessel(make_vessel())
    for collection in ("crossfix-vessels", SIGHTINGS):
        cluster.holders[collection] = {1, 2}
        cluster.active[collection] = {1, 2}
        for node in cluster.nodes:
            kept = node.stored_as[collection]
            kept.on_disk_payload, kept.vectors_on_disk, kept.quantization = False, False, None
            kept.replication_factor = kept.write_consistency_factor = 2
        vessels, _ = cluster.nodes[0].store.scroll(collection)
        if vessels:
            cluster.nodes[0].store.delete(collection, [one.id for one in vessels])


def test_collections_of_two_copies_get_a_third_one_and_move_to_disk(
    cluster: QdrantCluster,
) -> None:
    create_as_before(cluster)
    with closing(CollectionUpgrade(ServerConnection(cluster.urls))) as upgrade:
        listed = [(step.collection, step.does) for step in upgrade.steps(3)]
        assert cluster.active["crossfix-vessels"] == {1, 2}, "listing changes nothing"
        told = [
            "moves the payload to disk; indexed fields stay in memory",
            "asks for 3 copies of each shard, and acknowledges a write when 2 have it",
            "copies shard 0 from node 1 to node 0",
        ]
        assert [does for name, does in listed if name == "crossfix-vessels"] == told
        assert [does for name, does in listed if name == SIGHTINGS] == [
            told[0],
            "moves the exact vectors to disk",
            "keeps vectors of one byte a number in memory, to find candidates",
            *told[1:],
        ]
        for step in upgrade.steps(3):
            step.run()
        assert list(upgrade.steps(3)) == []
    assert cluster.active["crossfix-vessels"] == {0, 1, 2}
    copied, _ = cluster.nodes[0].store.scroll("crossfix-vessels")
    assert len(copied) == 1
    kept = cluster.nodes[0].stored_as[SIGHTINGS]
    assert kept.vectors_on_disk
    assert isinstance(kept.quantization, models.ScalarQuantization)


def test_what_the_service_creates_today_needs_no_change() -> None:
    with running_qdrant() as double:
        for store in (
            ServerGallery(ServerConnection(double.url), BUNDLE, WIDTH),
            ServerClaimStore(ServerConnection(double.url)),
        ):
            with closing(store):
                store._connection.call(lambda _: None)
        double.store.create_collection("another-service", vectors_config={})
        with closing(CollectionUpgrade(ServerConnection(double.url))) as upgrade:
            assert list(upgrade.steps(3)) == []
        assert double.stored_as[SIGHTINGS].vectors_on_disk
        assert not double.stored_as["another-service"].on_disk_payload
