"""One of three Qdrant nodes dies and returns, while replicas use a double of the cluster.

Matches and enrolments go on, nothing acknowledged is lost, and no claim is held twice. The replicas
are the use cases of the service with fake models, each with connections and locks of its own.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest

from service.identity.context import in_parallel
from service.identity.enrol import Enrolment, NewVessel
from service.identity.errors import StoreUnavailableError
from service.identity.matching.match import Matcher, MatchOptions
from service.identity.records.claims import NameClaim
from service.identity.records.vessels import VesselFilter
from service.identity.recovery import Recovery
from service.identity.retry_budget import one_retry_budget
from service.maintenance.backup import back_up
from service.maintenance.restore import restore
from service.storage.server.claims import ServerClaimStore
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from service.storage.server.layout import (
    CLAIM_INDEXES,
    MATCH_INDEXES,
    SIGHTING_INDEXES,
    VESSEL_INDEXES,
)
from service.storage.server.matches import ServerMatchStore
from service.storage.server.repeating import BUDGET_TIMEOUTS, CallWatch
from tests.support.doubles.qdrant_cluster import QdrantCluster, running_cluster
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.records import START
from tests.support.faults.scale import Scale
from tests.support.stores import NEW, OLD, Site, enrol, prepare_reembedding, stores
from tests.support.use_cases import (
    CALIBRATION,
    MODEL,
    fake_upload_embedder,
    make_context,
    optical,
    sar,
)

TIMEOUT_S = 5.0
BUDGET_S = BUDGET_TIMEOUTS * TIMEOUT_S
AWAY_S = 0.5
SLOW_MACHINE_S = 60.0


class Replica:
    """The use cases of one process on a cluster."""

    def __init__(
        self,
        cluster: QdrantCluster,
        chips: FakeChipStore,
        stack: ExitStack,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.retries = 0
        self.longest_retries_s = 0.0
        watch = CallWatch(self._count)

        def connection() -> ServerConnection:
            return ServerConnection(cluster.urls, timeout_s=timeout_s, watch=watch)

        self.gallery = stack.enter_context(
            closing(ServerGallery(connection(), FakeEmbedder.bundle_id, WIDTH))
        )
        self.matches = stack.enter_context(closing(ServerMatchStore(connection())))
        claims = stack.enter_context(closing(ServerClaimStore(connection())))
        context = replace(
            make_context(self.gallery, chips, matches=self.matches, claims=claims),
            write_all=in_parallel,
        )
        uploads = fake_upload_embedder()
        recovery = Recovery(context, step=timedelta(minutes=1))
        self.enrolment = Enrolment(context, uploads, recovery)
        self.matcher = Matcher(context, uploads, MODEL, CALIBRATION, allow_confident=True)

    def _count(self) -> None:
        self.retries += 1

    def enrol(self, number: int) -> UUID:
        """Register a vessel with a chip and a number of its own."""
        new = NewVessel.model_validate({"name": f"SHIP {number:06}"})
        with self._request():
            result = self.enrolment.enrol(new, [optical(number)])
        assert result.created
        return result.vessel.id

    def match(self, number: int) -> UUID:
        with self._request():
            result = self.matcher.match(sar(number), MatchOptions())
        assert result.match.stored, result.match.query.warnings
        return result.match.id

    @contextmanager
    def _request(self) -> Iterator[None]:
        """Give the calls in the block one budget, as the API does."""
        with one_retry_budget() as budget:
            yield
        self.longest_retries_s = max(self.longest_retries_s, budget.spent_s)

    def vessels(self) -> dict[UUID, int]:
        """Return the listed vessels and the number of sightings of each."""
        page = self.gallery.list_vessels(VesselFilter(), 10_000, None)
        return {one.id: len(self.gallery.sightings_of([one.id])) for one in page.vessels}


@dataclass
class Done:
    """What was acknowledged."""

    enrolled: list[UUID] = field(default_factory=list)
    matched: list[UUID] = field(default_factory=list)


@pytest.mark.timeout(1000)
def test_matches_and_enrolments_go_on_while_any_node_is_away(scale: Scale) -> None:
    done, ended = Done(), Event()
    with running_cluster() as cluster, ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        chips = FakeChipStore()
        replicas = [Replica(cluster, chips, stack) for _ in range(2)]

        def enrol_on(replica: Replica, number: int) -> None:
            while not ended.is_set():
                number += 1
                done.enrolled.append(replica.enrol(number))

        def match_on(replica: Replica, number: int) -> None:
            while not ended.is_set():
                number += 1
                done.matched.append(replica.match(number))

        work = []
        for place, replica in enumerate(replicas):
            work.append(pool.submit(enrol_on, replica, 10_000 * (2 * place + 1)))
            work.append(pool.submit(match_on, replica, 10_000 * (2 * place + 2)))
        try:
            for number in [0, 1, 2] * scale.node_losses:
                before = (len(done.enrolled), len(done.matched))
                cluster.kill(number)
                time.sleep(AWAY_S)
                _await_progress(work, before, done)
                cluster.restart(number)
        finally:
            ended.set()
        for one in work:
            one.result()
        for replica in replicas:
            assert replica.vessels() == dict.fromkeys(done.enrolled, 1)
        for match_id in done.matched:
            stored = replicas[0].matches.get(match_id)
            assert stored is not None
            assert replicas[1].gallery.get_sighting(stored.match.query.id) is not None
        retries = sum(replica.retries for replica in replicas)
        assert retries > 0
        assert max(replica.longest_retries_s for replica in replicas) <= BUDGET_S == 10.0
    print(f"\n{len(done.matched)} matches, {len(done.enrolled)} enrolments, {retries} repetitions")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_requests_outlast_the_time_in_which_a_cluster_does_not_write(
    scale: Scale, number: int
) -> None:
    """Requests at the moment of a death are answered with at most ten seconds of repetitions."""
    with running_cluster() as cluster, ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        chips = FakeChipStore()
        replicas = [Replica(cluster, chips, stack) for _ in range(2)]
        enrolled = [replica.enrol(place) for place, replica in enumerate(replicas)]
        cluster.notices_after_s = scale.noticed_after_s
        cluster.kill(number)
        enrolling = [pool.submit(one.enrol, 10 + place) for place, one in enumerate(replicas)]
        matching = [pool.submit(one.match, 20 + place) for place, one in enumerate(replicas)]
        enrolled += [one.result() for one in enrolling]
        assert all(replicas[0].matches.get(one.result()) is not None for one in matching)
        spent_s = max(replica.longest_retries_s for replica in replicas)
        assert scale.noticed_after_s / 2 < spent_s <= BUDGET_S
        cluster.restart(number)
        assert replicas[0].vessels() == dict.fromkeys(enrolled, 1)


def test_two_replicas_start_at_once_on_a_fresh_cluster() -> None:
    """Until a collection is everywhere, nodes answer 404 or that no copy can be read."""
    with running_cluster() as cluster, ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        cluster.creates_for_s = 0.7
        chips = FakeChipStore()
        replicas = [Replica(cluster, chips, stack) for _ in range(2)]
        enrolling = [pool.submit(one.enrol, place) for place, one in enumerate(replicas)]
        enrolled = [one.result() for one in enrolling]
        for replica in replicas:
            assert replica.vessels() == dict.fromkeys(enrolled, 1)
            assert replica.match(5)
        for node in cluster.nodes:
            assert {one: len(node.indexes[one]) for one in node.indexes} == {
                "crossfix-vessels": len(VESSEL_INDEXES),
                f"crossfix-sightings-{FakeEmbedder.bundle_id}": len(SIGHTING_INDEXES),
                "crossfix-matches": len(MATCH_INDEXES),
                "crossfix-claims": len(CLAIM_INDEXES),
            }


def test_a_match_is_answered_quickly_while_two_nodes_are_away() -> None:
    """Reads still succeed; the first writes wait for the cluster, the others do not."""
    with running_cluster() as cluster, ExitStack() as stack:
        replica = Replica(cluster, FakeChipStore(), stack, timeout_s=0.5)
        replica.enrol(1)
        cluster.kill(1)
        cluster.kill(2)
        replica.matcher.match(sar(2), MatchOptions())
        before = replica.retries
        for number in range(3, 8):
            result = replica.matcher.match(sar(number), MatchOptions())
            assert [one.vessel.name for one in result.match.candidates] == ["SHIP 000001"]
            assert not result.match.stored
        with pytest.raises(StoreUnavailableError):
            replica.enrol(8)
        assert replica.retries - before <= 6 * 2 * len(cluster.nodes), "no write is waited for"
        cluster.restart(1)
        assert replica.match(9)


def _await_progress(work: list[Future[None]], before: tuple[int, int], done: Done) -> None:
    """Wait until a vessel was enrolled and a match made since, unless one of them has failed."""
    deadline = time.monotonic() + SLOW_MACHINE_S
    while len(done.enrolled) == before[0] or len(done.matched) == before[1]:
        if any(one.done() for one in work):
            return
        assert time.monotonic() < deadline, "nothing goes on while the node is away"
        time.sleep(0.02)


@pytest.mark.parametrize("in_the_write", [False, True], ids=["at-a-request", "in-a-write"])
def test_a_vessel_is_registered_although_a_node_dies_at_any_step(
    scale: Scale, in_the_write: bool
) -> None:
    with running_cluster() as cluster, ExitStack() as stack:
        replica = Replica(cluster, FakeChipStore(), stack)
        registered = [replica.enrol(1)]
        for step in range(1, 40, 2 * scale.breakdown_stride):
            killed = _kill_at(cluster, step, in_the_write)
            registered.append(replica.enrol(100 + step))
            cluster.before, cluster.before_copy = (lambda *_: None), (lambda _: None)
            for number in killed:
                cluster.restart(number)
        assert replica.vessels() == dict.fromkeys(registered, 1)


def _kill_at(cluster: QdrantCluster, step: int, in_the_write: bool) -> list[int]:
    """Kill the node that gets the n-th request, or that applies the n-th copy of a write."""
    remaining = [step]
    killed: list[int] = []

    def count(number: int, *_: object) -> None:
        remaining[0] -= 1
        if remaining[0] == 0:
            cluster.kill(number)
            killed.append(number)

    if in_the_write:
        cluster.before_copy = count
    else:
        cluster.before = count
    return killed


@pytest.mark.timeout(1000)
def test_no_claim_is_held_by_two_replicas_while_nodes_die(scale: Scale) -> None:
    """Two replicas claim each name at the same time; a node dies between write and read, or not."""
    held_rounds = 0
    with running_cluster() as cluster, ExitStack() as opened, ThreadPoolExecutor(2) as pool:
        stores = [
            opened.enter_context(closing(ServerClaimStore(ServerConnection(cluster.urls))))
            for _ in range(2)
        ]

        with dying_nodes(cluster):
            for number in range(scale.claim_rounds):
                claims = [_claim() for _ in stores]
                name = f"IMO {number}"
                running = [
                    pool.submit(store.claim, name, claim, None)
                    for store, claim in zip(stores, claims, strict=True)
                ]
                standing = [one.result() for one in running]
                held = [got == own for got, own in zip(standing, claims, strict=True)]
                assert sum(held) <= 1, (name, standing)
                confirmed = [
                    store.renew(name, claim) for store, claim in zip(stores, claims, strict=True)
                ]
                assert confirmed == held or sum(confirmed) == 0, (name, held, confirmed)
                held_rounds += sum(held)
                for store, claim in zip(stores, claims, strict=True):
                    store.release(name, claim)
                assert stores[0].claim(name, claims[0], None) == claims[0], "it is free again"
    print(f"\n{held_rounds} of {scale.claim_rounds} names were claimed by one of two replicas")
    assert held_rounds > scale.claim_rounds / 2


def _claim() -> NameClaim:
    return NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=datetime.now(UTC))


@contextmanager
def dying_nodes(cluster: QdrantCluster, seed: int = 5) -> Iterator[None]:
    """Let one node after the other die and return within the block."""
    ended, dice = Event(), random.Random(seed)

    def disturb() -> None:
        while not ended.wait(dice.uniform(0.0, 0.1)):
            number = dice.randrange(len(cluster.nodes))
            cluster.kill(number)
            ended.wait(dice.uniform(0.0, 0.2))
            cluster.restart(number)

    disturber = Thread(target=disturb)
    disturber.start()
    try:
        yield
    finally:
        ended.set()
        disturber.join()


def test_reembedding_and_backup_go_on_while_nodes_die(tmp_path: Path) -> None:
    with running_cluster() as cluster:
        site, chips = (
            Site("cluster", tmp_path, lambda: ServerConnection(cluster.urls)),
            FakeChipStore(),
        )
        vessels = [enrol(site, chips, [2 * number, 2 * number + 1]) for number in range(5)]
        with dying_nodes(cluster):
            archive = site.archive()
            task = prepare_reembedding(archive, chips)
            task.embed(task.missing())
            task.switch()
            assert archive.active() == NEW
            assert archive.sighting_ids(NEW) == archive.sighting_ids(OLD)
            archive.close()
            with closing(stores(site, chips, tmp_path / "from")) as source:
                back_up(source, tmp_path / "backup", START)
    place = Site("edge", tmp_path / "restored")
    with closing(stores(place, FakeChipStore(), tmp_path / "to")) as target:
        counts = restore(tmp_path / "backup", target)
    assert counts.vessels == len(vessels)
    assert sum(counts.sightings.values()) == 2 * 2 * len(vessels)
