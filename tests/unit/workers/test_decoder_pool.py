"""A pool of decoders: the same chips as in this process, and nothing that one file can hold up."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import numpy as np
import pytest

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError, DecodeLimitError, NoShipError, OverloadedError
from service.contract.framing.apply import frame
from service.contract.framing.records import UNCHANGED, FramingMode
from service.workers import decoder, decoder_pool
from service.workers.decoder import DecodeRequest
from service.workers.decoder_pool import DecoderPool, PoolLimits
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.scene_files import empty_file, loose_file


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(PoolLimits(workers=2, timeout_s=20, wait_s=20))
    yield pool
    pool.close()


def decoded(pool: DecoderPool, data: bytes, gsd_m: float | None = None) -> Chip:
    return pool.frame(data, UNCHANGED, gsd_m=gsd_m).chip


def test_a_chip_is_decoded_as_in_this_process(pool: DecoderPool) -> None:
    for data in (optical_png(1), sar_tiff(2)):
        here, there = decode_chip(data, gsd_m=2.0), decoded(pool, data, gsd_m=2.0)
        np.testing.assert_array_equal(here.pixels, there.pixels)
        assert (here.modality, here.gsd_m, here.digest, here.warnings) == (
            there.modality,
            there.gsd_m,
            there.digest,
            there.warnings,
        )


def test_a_chip_is_framed_as_in_this_process_and_again_from_its_record(pool: DecoderPool) -> None:
    data = loose_file(Modality.SAR)
    here = frame(decode_chip(data), FramingMode.AUTO)
    there = pool.frame(data, FramingMode.AUTO)
    np.testing.assert_array_equal(here.chip.pixels, there.chip.pixels)
    assert there.framing == here.framing
    assert there.frame_ms > 0
    again = pool.frame(data, there.framing)
    np.testing.assert_array_equal(again.chip.pixels, here.chip.pixels)
    assert decoded(pool, data).pixels.shape == (200, 200)


def test_a_chip_without_ship_is_an_error_with_its_class(pool: DecoderPool) -> None:
    with pytest.raises(NoShipError, match="framing=as_is"):
        pool.frame(empty_file(Modality.SAR), FramingMode.AUTO)


def test_an_error_arrives_with_its_class_and_message(pool: DecoderPool) -> None:
    with pytest.raises(ChipError) as here:
        decode_chip(b"no picture")
    with pytest.raises(type(here.value)) as there:
        decoded(pool, b"no picture")
    assert str(there.value) == str(here.value)


def test_many_threads_share_the_workers(pool: DecoderPool) -> None:
    chips = [optical_png(seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(partial(decoded, pool), chips))
    assert [chip.digest for chip in found] == [decode_chip(data).digest for data in chips]
    assert pool.all_busy_s() == 0.0


def test_a_worker_that_overruns_its_time_is_replaced() -> None:
    pool = DecoderPool(PoolLimits(workers=1, timeout_s=0.05, wait_s=20))
    first = _idle(pool)[0].process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(DecodeLimitError, match="more time or memory"):
        decoded(pool, optical_png(1))
    replacement = _idle(pool)[0].process
    assert replacement.pid != first
    assert replacement.is_alive()
    pool.close()


def test_a_worker_that_died_while_idle_is_replaced(pool: DecoderPool) -> None:
    for worker in _idle(pool):
        worker.process.kill()
        worker.process.join()
    assert decoded(pool, optical_png(1)).modality is Modality.OPTICAL


def test_a_chip_that_needs_too_much_memory_is_refused() -> None:
    limits = PoolLimits(workers=1, timeout_s=20, wait_s=20, memory_bytes=2**20)
    pool = DecoderPool(limits)
    with pytest.raises(DecodeLimitError):
        decoded(pool, optical_png(1, height=2000, width=2000))
    assert decoded(pool, optical_png(1)).modality is Modality.OPTICAL
    pool.close()


def test_a_defect_of_a_decoder_is_called_one_and_logged(
    pool: DecoderPool, caplog: pytest.LogCaptureFixture
) -> None:
    before = {worker.process.pid for worker in _idle(pool)}
    with pytest.raises(ChipError, match="defect"):
        decoded(pool, cast(bytes, "no bytes"))
    assert "TypeError" in caplog.text
    assert {worker.process.pid for worker in _idle(pool)} == before


def test_a_chip_that_finds_no_free_worker_is_refused_and_the_pool_tells_for_how_long() -> None:
    now = [100.0]
    limits = PoolLimits(workers=1, timeout_s=20, wait_s=0.01)
    pool = DecoderPool(limits, clock=lambda: now[0])
    _idle(pool)
    worker = pool._take()
    now[0] += 7.0
    assert pool.all_busy_s() == 7.0
    with pytest.raises(OverloadedError, match="waiting to be decoded"):
        decoded(pool, optical_png(1))
    pool._give_back(worker)
    assert pool.all_busy_s() == 0.0
    assert decoded(pool, optical_png(1)).modality is Modality.OPTICAL
    pool.close()


def test_a_closed_pool_refuses_and_leaves_no_process() -> None:
    pool = DecoderPool(PoolLimits(workers=2, wait_s=0.01))
    processes = [worker.process for worker in _idle(pool)]
    pool.close()
    assert not any(process.is_alive() for process in processes)
    with pytest.raises(OverloadedError):
        decoded(pool, optical_png(1))


def test_a_pool_that_is_closed_at_once_starts_no_worker_afterwards() -> None:
    before = set(threading.enumerate())
    pool = DecoderPool(PoolLimits(workers=2))
    pool.close()
    assert set(threading.enumerate()) <= before


def test_a_busy_worker_ends_with_its_chip_when_the_pool_closes() -> None:
    pool = DecoderPool(PoolLimits(workers=1))
    _idle(pool)
    worker = pool._take()
    closing = threading.Thread(target=pool.close)
    closing.start()
    closing.join(10)
    answer = worker.ask(DecodeRequest(optical_png(1), None, None, None, UNCHANGED), 20)
    assert not isinstance(answer, Exception)
    pool._give_back(worker)
    assert not worker.process.is_alive()


def test_workers_end_when_the_parent_closes_the_connection() -> None:
    pool = DecoderPool(PoolLimits(workers=1))
    worker = _idle(pool)[0]
    worker.connection.close()
    deadline = time.monotonic() + 20
    while worker.process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pool.close()


def test_the_preloaded_module_is_the_one_that_workers_run() -> None:
    assert [decoder.serve_decoder.__module__] == decoder_pool.PRELOADED


def _idle(pool: DecoderPool) -> list[decoder_pool._Worker]:
    """The idle workers, once all of them run."""
    deadline = time.monotonic() + 20
    while len(pool._idle.queue) < pool._pool.workers:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return list(pool._idle.queue)
