"""A cluster of Qdrant nodes for tests, in which nodes die and return.

Each node has a copy of every collection and answers over HTTP. What a node does while another one
is away follows the source of Qdrant 1.18 (`replica_set/update.rs`, `execute_read_operation.rs`):
which node leads a write, how many copies must take it, which copies a read asks, when a copy is
deactivated, and the words of the refusals. Simplified: one shard for each collection, and every
node learns at once what the cluster has decided. A real cluster of three nodes took up to eight
seconds to write again after a death, for which `notices_after_s` stands.
"""

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qs

from qdrant_client import models

from tests.support.doubles.qdrant_http import (
    MAY_BE_MISSING,
    Body,
    QdrantDouble,
    RefusedError,
    route,
    serving,
)

DECIDED_BY_ALL = frozenset(
    {
        *("PUT collection", "PATCH collection", "DELETE collection"),
        *("PUT index", "POST collections/aliases"),
    }
)
WRITES = frozenset({"PUT points", "POST points/delete", "POST points/payload", "POST points/batch"})
READS = frozenset(
    {"POST points", "POST points/scroll", "POST points/count", "POST points/query/batch"}
)
UNREACHABLE = "Service internal error: Tonic status error: transport error"
UNCERTAIN = "Service internal error: Consistency of this update is not guaranteed. Please retry."


class ClusterNode(QdrantDouble):
    """One node: its copies, and whether it is away."""

    def __init__(self, cluster: "QdrantCluster", number: int) -> None:
        super().__init__()
        self.cluster = cluster
        self.number = number
        self.away = False
        self.missed_at: float | None = None
        """When a write first met its death."""
        self.leading = threading.Lock()

    def answer(self, method: str, path: str, body: Body) -> object:
        self.require_present()
        where, _, query = path.partition("?")
        options = {name: values[0] for name, values in parse_qs(query).items()}
        kind, collection = route(where)
        result = self.cluster.handle(self, f"{method} {kind}", where, body, options, collection)
        self.require_present()
        return result

    def execute(self, request: str, path: str, body: Body) -> object:
        """Execute a request on this node's copy."""
        return super().answer(request.split()[0], path, body)

    def require_present(self) -> None:
        if self.away:
            raise ConnectionAbortedError(f"node {self.number} is away")


class QdrantCluster:
    """The nodes, and which of their copies take part.

    Attributes:
        before: called with the number of the node and the kind of each request that a client
            sends, before it is executed.
        before_copy: called with the number of each node before it applies a write.
        creates_for_s: how long a new collection does not exist yet for the other nodes, and has no
            copy that answers.
        notices_after_s: how long no copy of a dead node can be deactivated, from the first write
            that meets its death.
    """

    def __init__(self, nodes: int = 3, write_consistency_factor: int = 2) -> None:
        self.nodes = [ClusterNode(self, number) for number in range(nodes)]
        self.write_consistency_factor = write_consistency_factor
        self.holders: dict[str, set[int]] = {}
        self.active: dict[str, set[int]] = {}
        self.before: Callable[[int, str], None] = lambda *_: None
        self.before_copy: Callable[[int], None] = lambda _: None
        self.creates_for_s = 0.0
        self.notices_after_s = 0.0
        self._created: dict[str, tuple[int, float]] = {}
        self.deciding = threading.RLock()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    def kill(self, number: int) -> None:
        """Let a node answer nobody any more, in the middle of whatever it does."""
        self.nodes[number].missed_at = None
        self.nodes[number].away = True

    def restart(self, number: int) -> None:
        """Let a node return; copies that were deactivated are made anew from an active one."""
        node = self.nodes[number]
        with self._without_writes():
            for collection, active in self.active.items():
                if number in self.holders[collection] - active and active:
                    _copy(self.nodes[max(active)], node, collection)
                    active.add(number)
            node.away = False

    @contextmanager
    def _without_writes(self) -> Iterator[None]:
        """Let no write run; a write holds its leader before it decides, so leaders come first."""
        with ExitStack() as held:
            for node in self.nodes:
                held.enter_context(node.leading)
            held.enter_context(self.deciding)
            yield

    def handle(
        self,
        node: ClusterNode,
        request: str,
        path: str,
        body: Body,
        options: dict[str, str],
        collection: str,
    ) -> object:
        """Execute a request that a client sent to a node."""
        self.before(node.number, request)
        if self._is_being_created(node, request, collection):
            if request == "GET exists":
                return {"exists": False}
            raise RefusedError(404, f"Not found: Collection `{collection}` doesn't exist!")
        if request == "GET cluster":
            return self._copies(node, collection) if collection else self._status(node)
        if request in DECIDED_BY_ALL:
            return self._decide(node, request, path, body, collection)
        if request == "POST cluster":
            return self._replicate(body, collection)
        if request in READS or request in WRITES:
            node.require(collection)
        if request in WRITES:
            return self._write(node, request, path, body, options.get("ordering"), collection)
        if request in READS:
            return self._read(node, request, path, body, options.get("consistency"), collection)
        if request not in MAY_BE_MISSING and collection:
            node.require(collection)
        return node.execute(request, path, body)

    def _status(self, node: ClusterNode) -> object:
        peers = {str(one.number): {"uri": one.url} for one in self.nodes}
        raft = {"term": 1, "commit": 1, "pending_operations": 0, "is_voter": True}
        return {
            "status": "enabled",
            "peer_id": node.number,
            "peers": peers,
            "raft_info": raft,
            "consensus_thread_status": {
                "consensus_thread_status": "working",
                "last_update": "2026-01-01T00:00:00Z",
            },
            "message_send_failures": {},
        }

    def _copies(self, node: ClusterNode, collection: str) -> object:
        active, holders = self.active[collection], self.holders[collection]
        states = {one: "Active" if one in active else "Dead" for one in sorted(holders)}
        local = [
            {"shard_id": 0, "points_count": 0, "state": states[n]}
            for n in states
            if n == node.number
        ]
        remote = [
            {"shard_id": 0, "peer_id": n, "state": states[n]} for n in states if n != node.number
        ]
        return {
            "peer_id": node.number,
            "shard_count": 1,
            "local_shards": local,
            "remote_shards": remote,
            "shard_transfers": [],
        }

    def _replicate(self, body: Body, collection: str) -> object:
        """Copy the shard to another node, which takes no time here."""
        asked = models.ReplicateShardOperation.model_validate_json(body).replicate_shard
        with self._without_writes():
            source, target = self.nodes[asked.from_peer_id], self.nodes[asked.to_peer_id]
            _copy(source, target, collection)
            self.holders[collection].add(target.number)
            self.active[collection].add(target.number)
        return True

    def _is_being_created(self, node: ClusterNode, request: str, collection: str) -> bool:
        """Whether a node must say that a collection does not exist or has no copy yet."""
        creator, at = self._created.get(collection, (node.number, -math.inf))
        if time.monotonic() - at >= self.creates_for_s or request == "PUT collection":
            return False
        if creator == node.number and request in READS | WRITES:
            raise RefusedError(500, "Service internal error: 0 of 0 read operations failed")
        return creator != node.number

    def _decide(
        self, node: ClusterNode, request: str, path: str, body: Body, collection: str
    ) -> object:
        """Change what all nodes agree on; nodes that are away learn of it before they return."""
        with self.deciding:
            if 2 * sum(not node.away for node in self.nodes) <= len(self.nodes):
                raise RefusedError(500, "Service internal error: Waiting for consensus timed out")
            results = [one.execute(request, path, body) for one in self.nodes]
            if request == "PUT collection":
                self._created[collection] = (node.number, time.monotonic())
                everywhere = {node.number for node in self.nodes}
                self.holders[collection], self.active[collection] = everywhere, set(everywhere)
            elif request == "DELETE collection":
                self.holders.pop(collection, None)
                self.active.pop(collection, None)
            return results[0]

    def _write(
        self,
        node: ClusterNode,
        request: str,
        path: str,
        body: Body,
        ordering: str | None,
        collection: str,
    ) -> object:
        leader = self._leader(node, ordering, collection)
        if leader.away:
            with self.deciding:  # unless it has returned in the meantime
                if ordering == "medium" and leader.away:
                    self._deactivate(collection, {leader.number})
            raise RefusedError(
                500,
                f"Service internal error: Failed to apply update with {ordering} ordering via "
                f"leader peer {leader.number}: {UNREACHABLE}",
            )
        with leader.leading:
            done: list[object] = []
            failed: set[int] = set()
            for number in sorted(self.active[collection], key=lambda n: (n != leader.number, n)):
                self.before_copy(number)
                if self.nodes[number].away or leader.away:
                    failed.add(number)
                else:
                    done.append(self.nodes[number].execute(request, path, body))
            if leader.away:
                raise RefusedError(
                    500,
                    f"Service internal error: Failed to apply update with {ordering} ordering via "
                    f"leader peer {leader.number}: {UNREACHABLE}",
                )
            if len(done) < min(self.write_consistency_factor, len(self.holders[collection])):
                raise RefusedError(500, UNREACHABLE)
            if not self._deactivate(collection, failed):
                raise RefusedError(500, UNCERTAIN)
        return done[0]

    def _leader(self, node: ClusterNode, ordering: str | None, collection: str) -> ClusterNode:
        active = self.active[collection]
        if ordering == "strong":
            return self.nodes[max(self.holders[collection])]
        if ordering == "medium":
            if not active:
                raise RefusedError(500, "Service internal error: no leader could be selected")
            return self.nodes[max(active)]
        return node

    def _deactivate(self, collection: str, numbers: set[int]) -> bool:
        """Let copies take part no more; return False while the nodes cannot decide that."""
        with self.deciding:
            now = time.monotonic()
            for node in (self.nodes[number] for number in numbers):
                node.missed_at = node.missed_at or now
                if node.away and now - node.missed_at < self.notices_after_s:
                    return False
            if self.active[collection] - numbers:
                self.active[collection] = self.active[collection] - numbers
        return True

    def _read(
        self,
        node: ClusterNode,
        request: str,
        path: str,
        body: Body,
        consistency: str | None,
        collection: str,
    ) -> object:
        total = len(self.holders[collection])
        needed = {None: 1, "quorum": total // 2 + 1}.get(consistency, total)
        active = set(self.active[collection])
        if len(active) < needed:
            raise RefusedError(
                500,
                "Service internal error: The replica set for shard 0 on peer "
                f"{node.number} does not have enough active replicas",
            )
        others = sorted(active - {node.number})
        random.shuffle(others)
        local = [node.number] if node.number in active else []
        answers: list[object] = []
        failures = 0
        for number in [*local, *others]:
            if self.nodes[number].away:
                failures += 1
                continue
            answers.append(self.nodes[number].execute(request, path, body))
            if len(answers) == needed:
                return _resolved(answers)
        raise RefusedError(
            500,
            f"Service internal error: {failures} of {failures + len(answers)} read operations "
            f"failed:\n  {UNREACHABLE}",
        )


def _resolved(answers: Sequence[Any]) -> object:
    """Return the points that all answers hold alike."""
    first = answers[0]
    if len(answers) == 1:
        return first
    if isinstance(first, models.ScrollResult):
        points = _resolved([answer.points for answer in answers])
        return first.model_copy(update={"points": points})
    if not isinstance(first, list):
        raise TypeError(f"the cluster cannot compare {type(first).__name__}")
    texts = [{_text(point) for point in answer} for answer in answers]
    return [point for point in first if all(_text(point) in known for known in texts)]


def _text(point: Any) -> str:
    return json.dumps(point.model_dump(mode="json"), sort_keys=True)


def _copy(source: ClusterNode, target: ClusterNode, collection: str) -> None:
    """Replace a node's copy of a collection by that of another node."""
    points, _ = source.store.scroll(collection, limit=1_000_000, with_vectors=True)
    kept, _ = target.store.scroll(collection, limit=1_000_000, with_payload=False)
    if kept:
        target.store.delete(collection, [point.id for point in kept])
    if points:
        target.store.upsert(
            collection,
            [models.PointStruct(id=p.id, vector=p.vector or {}, payload=p.payload) for p in points],
        )


@contextmanager
def running_cluster(nodes: int = 3) -> Iterator[QdrantCluster]:
    """Run a cluster on free ports until the end of the block."""
    cluster = QdrantCluster(nodes)
    with ExitStack() as stack:
        for node in cluster.nodes:
            stack.enter_context(serving(node))
        yield cluster
