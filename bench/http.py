"""Measure the whole service over HTTP: latency and throughput of few and many clients."""

import itertools
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.filled_gallery import fill_gallery, mark_all_compared
from service.contract.bundle import Bundle, open_bundle
from service.identity.evidence.both_ways import half_turns_for
from service.identity.uploads import HalfTurns
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.gallery import EdgeGallery
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

REQUESTS = 160
"""Matches of each load; every one of another chip, so that none is in the cache."""
CLIENTS = (1, 8, 32)
VESSELS, EACH = 1000, 5
"""Vessels that the service knows, and sightings of each."""
HEIGHT_PX, WIDTH_PX = 200, 40


@dataclass(frozen=True)
class Load:
    """`POST /match` from some clients that each wait for their response.

    Attributes:
        share_of_encoding: the throughput over that of encoding the same views in batches without a
            service.
    """

    clients: int
    per_s: float
    p50_ms: float
    p99_ms: float
    share_of_encoding: float


@dataclass(frozen=True)
class HttpFigures:
    """Figures of a started process.

    Attributes:
        encode_ms: one bare call of the encoder with one chip.
        views: how often each query is encoded: twice when it is compared both ways round.
        vessels: how many vessels each query is compared with.
    """

    ready_after_s: float
    resident_mb: float
    encode_ms: float
    views: int
    vessels: int
    loads: tuple[Load, ...]

    @staticmethod
    def of(known: Mapping[str, Any]) -> "HttpFigures":
        """Make the figures from their JSON."""
        loads = tuple(Load(**one) for one in known["loads"])
        return HttpFigures(**{**known, "loads": loads})


def measure_http(encode_ms: float, encode_in_batch_ms: float) -> HttpFigures:
    """Send matches that are not stored from each number of clients, against a filled gallery.

    Args:
        encode_ms: milliseconds of encoding one chip alone, without a service.
        encode_in_batch_ms: milliseconds for each chip of a batch.
    """
    numbers = itertools.count()
    bundle = open_bundle(SHIPPED_BUNDLE)
    views = 1 if half_turns_for(bundle.manifest.calibration) is HalfTurns.OPEN else 2
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder) / "data" / "gallery", bundle)
        with running_service(Path(folder)) as service:
            _measure(service, numbers, 8, 64, views * encode_in_batch_ms)  # warms up
            loads = tuple(
                _measure(service, numbers, clients, REQUESTS, views * encode_in_batch_ms)
                for clients in CLIENTS
            )
            return HttpFigures(
                ready_after_s=service.ready_after_s,
                resident_mb=service.resident_mb(),
                encode_ms=encode_ms,
                views=views,
                vessels=VESSELS,
                loads=loads,
            )


def _fill(folder: Path, bundle: Bundle) -> None:
    width = bundle.manifest.encoder.embedding_width
    gallery = EdgeGallery(folder, bundle.bundle_id, width)
    fill_gallery(gallery, bundle.bundle_id, width, VESSELS, EACH)
    mark_all_compared(gallery)
    gallery.close()


def _measure(
    service: ServiceProcess,
    numbers: "itertools.count[int]",
    clients: int,
    requests: int,
    encode_views_ms: float,
) -> Load:
    chips = (sar_tiff(next(numbers), HEIGHT_PX, WIDTH_PX) for _ in range(requests))
    asked = [_match_request(service.url, chip) for chip in chips]
    opened = [HTTPConnection(asked[0].url.netloc.decode(), timeout=60) for _ in range(clients)]
    parts = [asked[first::clients] for first in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        took = list(itertools.chain(*pool.map(_match_all, opened, parts)))
    lasted = time.perf_counter() - began
    for client in opened:
        client.close()
    p50, p99 = np.percentile(took, (50, 99)).tolist()
    per_s = requests / lasted
    return Load(clients, per_s, p50 * 1000, p99 * 1000, per_s * encode_views_ms / 1000)


def _match_request(url: str, chip: bytes) -> httpx.Request:
    """Prepare a match that is not stored."""
    request = httpx.Request("POST", f"{url}/match", files={"chip": chip}, data={"store": "false"})
    request.read()
    return request


def _match_all(client: HTTPConnection, requests: list[httpx.Request]) -> list[float]:
    """Send one prepared request after the other; return the seconds of each.

    The clients share the cores with the service, and `httpx.Client` would take several times as
    much of them.
    """
    took = []
    for one in requests:
        began = time.perf_counter()
        client.request("POST", one.url.path, one.content, dict(one.headers))
        response = client.getresponse()
        answer = response.read()
        took.append(time.perf_counter() - began)
        if response.status != 200:
            raise RuntimeError(answer.decode())
    return took
