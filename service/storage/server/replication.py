"""Give collections of a Qdrant cluster more copies of each shard.

A collection keeps the number of copies that it was created with, e.g. one on a single node. It is
compared with the number that is asked for, and changed while services use the collection.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qdrant_client import QdrantClient, models

from service.identity.errors import StoreUnavailableError
from service.storage.server.connection import ServerConnection
from service.storage.server.layout import Layout

COPIED_WITHIN_S = 3600.0
LOOK_EVERY_S = 1.0
ACTIVE = models.ReplicaState.ACTIVE


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a collection: what it does, and the function that does it."""

    collection: str
    does: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and the nodes that hold a copy of it, by id."""

    number: int
    active: frozenset[int]
    all: frozenset[int]


class Replication:
    """Finds and makes the changes that give each shard the copies that are asked for."""

    def __init__(self, connection: ServerConnection) -> None:
        """Use a connection, which `close` closes."""
        self._connection = connection
        self._layout = Layout()

    def steps(self, copies: int) -> Iterator[Step]:
        """Yield each change that is needed, in the order in which to run them.

        Args:
            copies: how many nodes hold each shard; at most all nodes of the cluster.

        Raises:
            StoreUnavailableError: the server does not answer or refuses.
        """
        nodes = self._connection.call(_nodes)
        if len(nodes) == 1:
            return
        copies = min(copies, len(nodes))
        for name in self._connection.call(self._layout.collections):
            yield from self._factor_steps(name, copies)
            yield from self._copy_steps(name, copies, nodes)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _factor_steps(self, name: str, copies: int) -> Iterator[Step]:
        params = self._connection.call(lambda client: client.get_collection(name).config.params)
        majority = copies // 2 + 1
        if (params.replication_factor, params.write_consistency_factor) != (copies, majority):
            diff = models.CollectionParamsDiff(
                replication_factor=copies, write_consistency_factor=majority
            )
            yield Step(
                name,
                f"asks for {copies} copies of each shard, and acknowledges a write when "
                f"{majority} have it",
                lambda: self._connection.call(
                    lambda client: client.update_collection(name, collection_params=diff)
                ),
            )

    def _copy_steps(self, name: str, copies: int, nodes: list[int]) -> Iterator[Step]:
        shards = self._connection.call(lambda client: _shards(client, name))
        load = Counter(node for shard in shards for node in shard.all)
        for shard in shards:
            free = [node for node in nodes if node not in shard.all]
            for _ in range(copies - len(shard.all)):
                target = min(free, key=lambda node: (load[node], node))
                free.remove(target)
                load[target] += 1
                yield self._copy(name, shard, target)

    def _copy(self, name: str, shard: Shard, target: int) -> Step:
        if not shard.active:
            raise StoreUnavailableError(f"no copy of shard {shard.number} of {name} is active")
        source = min(shard.active)
        operation = models.ReplicateShardOperation(
            replicate_shard=models.ReplicateShard(
                shard_id=shard.number, from_peer_id=source, to_peer_id=target
            )
        )

        def run() -> None:
            self._connection.call(lambda client: client.cluster_collection_update(name, operation))
            self._await_copy(name, shard.number, target)

        return Step(name, f"copies shard {shard.number} from node {source} to node {target}", run)

    def _await_copy(self, name: str, number: int, target: int) -> None:
        deadline = time.monotonic() + COPIED_WITHIN_S
        while time.monotonic() < deadline:
            shards = self._connection.call(lambda client: _shards(client, name))
            if any(shard.number == number and target in shard.active for shard in shards):
                return
            time.sleep(LOOK_EVERY_S)
        raise StoreUnavailableError(
            f"shard {number} of {name} was not copied to node {target} within "
            f"{COPIED_WITHIN_S:.0f} s; run the command again"
        )


def _nodes(client: QdrantClient) -> list[int]:
    """Return the ids of the cluster's nodes; one id for a server that is no cluster."""
    status = client.cluster_status()
    peers = getattr(status, "peers", None)
    return sorted(int(node) for node in peers) if peers else [0]


def _shards(client: QdrantClient, name: str) -> list[Shard]:
    info = client.collection_cluster_info(name)
    copies = [(one.shard_id, info.peer_id, one.state) for one in info.local_shards]
    copies += [(one.shard_id, one.peer_id, one.state) for one in info.remote_shards]
    return [
        Shard(
            number,
            frozenset(node for n, node, state in copies if n == number and state == ACTIVE),
            frozenset(node for n, node, _ in copies if n == number),
        )
        for number in sorted({number for number, _, _ in copies})
    ]
