"""Many of the largest legal chips at once take a bounded amount of memory, and give it back."""

import asyncio
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.faults.raw_http import raw_request, send_raw
from tests.support.processes.service_process import ServiceProcess

CHIPS = 40
SIDE_PX = 2048
KEPT_LIMIT_MB = 250.0
"""Most that stays; the pixels of these chips, as floats, take 671 MB."""
SETTLED_S = 1.0


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    """Chips wait for two decoders, also where there are more processors."""
    return {"CROSSFIX_DECODE_WORKERS": "2", "CROSSFIX_CACHE_ENTRIES": "0"}


def large_tiff(seed: int) -> bytes:
    """A few kilobytes that decode to four million floats."""
    blocks = np.random.default_rng(seed).integers(0, 255, (32, 32)).astype(np.float32)
    plane = np.kron(blocks, np.ones((SIDE_PX // 32, SIDE_PX // 32), np.float32))
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "TIFF", compression="tiff_deflate")
    return buffer.getvalue()


def request_of(service: ServiceProcess, seed: int) -> bytes:
    fields = {"store": "false", "framing": "as_is", "gsd_m": "1", "modality": "sar"}
    chip = {"chip": large_tiff(seed)}
    return raw_request(httpx.Request("POST", f"{service.url}/match", files=chip, data=fields))


async def send_at_once(service: ServiceProcess, seeds: range) -> set[int]:
    requests = [request_of(service, seed) for seed in seeds]
    answers = await asyncio.gather(*(send_raw(service, request) for request in requests))
    await asyncio.sleep(SETTLED_S)
    return {status for status, _ in answers}


def test_large_chips_give_their_memory_back(service: ServiceProcess) -> None:
    assert asyncio.run(send_at_once(service, range(2))) == {200}
    before_mb = service.resident_mb()
    assert asyncio.run(send_at_once(service, range(2, 2 + CHIPS))) <= {200, 429}
    after_mb = service.resident_mb()
    print(f"\n{CHIPS} chips of {SIDE_PX} pixels a side: {before_mb:.0f} to {after_mb:.0f} MB")
    assert after_mb < before_mb + KEPT_LIMIT_MB
