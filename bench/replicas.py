"""Measure service processes (replicas) that share one gallery, and what the shared part takes.

Another process stands in for the Qdrant server: the double of the tests, which is written in
Python, compares a query with every sighting, and answers one request at a time.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass
from pathlib import Path

import httpx
import numpy as np

from bench.filled_gallery import fill_gallery, mark_all_compared
from bench.http import HEIGHT_PX, WIDTH_PX
from service.contract.bundle import open_bundle
from service.settings import SHIPPED_BUNDLE
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.redis_server import running_redis
from tests.support.processes.service_process import ServiceProcess, processor_s, running_service

REPLICAS = (1, 2, 4)
REQUESTS = 96
"""Matches of each load; every one of another chip, so that none is in the cache."""
ROUNDS = 3
CLIENTS_EACH = 4
"""Clients for each replica; each client asks the replicas in turn."""
VESSELS, EACH = 10, 2
"""Few: the stand-in, which compares them in Python, must not take longer than the replicas."""


@dataclass(frozen=True)
class ReplicaLoad:
    """Matches that some replicas answered.

    Attributes:
        replicas: how many were asked; the others of the run stood by.
        per_s: matches a second.
        other_cores: cores that all other programs of the machine took meanwhile.
        replica_ms: processor time of the replicas for a match.
        stand_in_ms, redis_ms, clients_ms: the same of the others that take part.
    """

    replicas: int
    per_s: float
    other_cores: float
    replica_ms: float
    stand_in_ms: float
    redis_ms: float
    clients_ms: float


@dataclass(frozen=True)
class _Site:
    """What runs: the replicas, and the process ids of the stand-in and of Redis."""

    replicas: Sequence[ServiceProcess]
    stand_in: int
    redis: int

    def used_s(self, count: int) -> list[float]:
        """Return the processor time of the first replicas, stand-in, Redis, clients and machine."""
        replicas = sum(one.processor_s_of_all() for one in self.replicas[:count])
        others = processor_s(self.stand_in), processor_s(self.redis), time.process_time()
        return [replicas, *others, _machine_s()]


def measure_replicas(
    counts: Sequence[int] = REPLICAS, requests: int = REQUESTS, rounds: int = ROUNDS
) -> tuple[ReplicaLoad, ...]:
    """Send matches that are not stored to each number of replicas; return medians of the rounds."""
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        site = _start(Path(folder), max(counts), stack)
        _measure(site, max(counts), [next(numbers) for _ in range(4 * max(counts))])  # warms up
        measured = [
            [_measure(site, count, [next(numbers) for _ in range(requests)]) for count in counts]
            for _ in range(rounds)
        ]
    medians = np.median([[astuple(one) for one in loads] for loads in measured], axis=0)
    return tuple(ReplicaLoad(int(count), *rest) for count, *rest in medians.tolist())


def _start(folder: Path, replicas: int, stack: ExitStack) -> _Site:
    """Fill a stand-in, and start replicas of one thread, in turn on each core."""
    command = [sys.executable, "-m", "tests.support.doubles.qdrant_http"]
    stand_in = stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    assert stand_in.stdout is not None
    url = stand_in.stdout.readline().strip()
    bundle = open_bundle(SHIPPED_BUNDLE)
    width = bundle.manifest.encoder.embedding_width
    with closing(ServerGallery(ServerConnection(url), bundle.bundle_id, width)) as gallery:
        fill_gallery(gallery, bundle.bundle_id, width, VESSELS, EACH)
        mark_all_compared(gallery)
    redis = stack.enter_context(running_redis(folder))
    shared = {
        "CROSSFIX_QDRANT_URL": url,
        "CROSSFIX_QDRANT_TIMEOUT_S": "60",
        "CROSSFIX_REDIS_URL": redis.url,
        "CROSSFIX_DATA_DIR": str(folder / "data"),
        "CROSSFIX_THREADS": "1",
    }
    started = []
    cores = os.sched_getaffinity(0)
    stack.callback(os.sched_setaffinity, 0, cores)
    for number, core in zip(range(replicas), itertools.cycle(cores), strict=False):
        os.sched_setaffinity(0, {core})  # a process that is started inherits it
        settings = shared | {"CROSSFIX_REPLICA": f"replica-{number}"}
        service = running_service(folder / str(number), settings=settings)
        started.append(stack.enter_context(service))
    os.sched_setaffinity(0, cores)
    return _Site(started, stand_in.pid, redis.pid)


def _measure(site: _Site, count: int, numbers: Sequence[int]) -> ReplicaLoad:
    chips = [sar_tiff(number, HEIGHT_PX, WIDTH_PX) for number in numbers]
    urls = itertools.cycle(one.url for one in site.replicas[:count])
    used, began = site.used_s(count), time.perf_counter()
    with httpx.Client(timeout=300.0) as client, ThreadPoolExecutor(CLIENTS_EACH * count) as pool:
        for _ in pool.map(lambda url, chip: _match(client, url, chip), urls, chips):
            pass
    lasted = time.perf_counter() - began
    *ours, machine = np.subtract(site.used_s(count), used).tolist()
    each_ms = [1000.0 * seconds / len(chips) for seconds in ours]
    return ReplicaLoad(count, len(chips) / lasted, (machine - sum(ours)) / lasted, *each_ms)


def _match(client: httpx.Client, url: str, chip: bytes) -> None:
    response = client.post(f"{url}/match", files={"chip": chip}, data={"store": "false"})
    if response.status_code != 200 or response.json()["gallery"]["vessels"] != VESSELS:
        raise RuntimeError(response.text)


def _machine_s() -> float:
    """Return the processor time that all programs have used, and other machines took (Linux)."""
    user, nice, system, _, _, *others = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
