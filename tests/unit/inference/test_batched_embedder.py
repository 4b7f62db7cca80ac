"""One embedder for many threads: no mixing, separate lanes, bounded waiting."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.bundle import Bundle
from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.errors import OverloadedError, TranslationError
from service.inference.batcher import BatchedEmbedder, BatchStats, LaneSettings
from service.inference.embedder import Embedder, build_embedder

MakeBundle = Callable[..., Bundle]
MakeChip = Callable[[Modality, int], Chip]


def test_200_chips_from_32_threads_equal_their_serial_result(
    make_bundle: MakeBundle, make_chip: MakeChip
) -> None:
    embedder = build_embedder(make_bundle(), "cpu", 1)
    chips = [make_chip(Modality.SAR if i % 2 else Modality.OPTICAL, i) for i in range(200)]
    serial = [embedder.embed_many([chip])[0].vector for chip in chips]
    seen: list[BatchStats] = []
    batched = BatchedEmbedder(embedder, observe=seen.append)
    with ThreadPoolExecutor(32) as pool:
        parallel = list(pool.map(batched.embed, chips))
    batched.close()
    for expected, embedded in zip(serial, parallel, strict=True):
        assert np.allclose(embedded.vector, expected, atol=1e-4)
    assert {stats.lane for stats in seen} == {"sar", "optical"}
    assert sum(stats.batch_size for stats in seen) == 200
    assert max(stats.batch_size for stats in seen) > 1


def test_it_names_its_bundle_and_imagines(make_bundle: MakeBundle, make_chip: MakeChip) -> None:
    embedder = build_embedder(make_bundle(), "cpu", 1)
    batched = BatchedEmbedder(embedder)
    assert (batched.bundle_id, batched.width) == (embedder.bundle_id, 6)
    chip = make_chip(Modality.OPTICAL, 1)
    assert np.array_equal(batched.imagine(chip), embedder.imagine(chip))
    with pytest.raises(TranslationError):
        batched.imagine(make_chip(Modality.SAR, 1))
    assert batched.queue_depths() == {"optical": 0, "sar": 0, "pictures": 0}
    batched.close()


class SlowOptical(Embedder):
    """Optical chips and pictures wait until they are let go; SAR chips are answered at once."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.bundle_id = "slow"
        self.width = 2

    def embed_many(self, chips: Sequence[Chip]) -> list[EmbeddedChip]:
        if any(chip.modality is Modality.OPTICAL for chip in chips):
            assert self.let_go.wait(10)
        return [EmbeddedChip(np.array([1, 0], np.float32)) for _ in chips]

    def imagine(self, chip: Chip) -> NDArray[np.uint8]:
        assert self.let_go.wait(10)
        return np.zeros((1, 2, 2), np.uint8)


@pytest.fixture
def slow() -> Iterator[SlowOptical]:
    embedder = SlowOptical()
    yield embedder
    embedder.let_go.set()


def test_a_slow_translation_never_blocks_a_sar_query(
    slow: SlowOptical, make_chip: MakeChip
) -> None:
    batched = BatchedEmbedder(slow)
    optical, sar = make_chip(Modality.OPTICAL, 1), make_chip(Modality.SAR, 2)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(batched.embed, optical), pool.submit(batched.imagine, optical)]
        assert batched.embed(sar, timeout_s=5).vector.shape == (2,)
        assert not any(future.done() for future in waiting)
        slow.let_go.set()
        assert waiting[0].result(10).vector.shape == (2,)
        assert waiting[1].result(10).shape == (1, 2, 2)
    batched.close()


def test_waiting_is_bounded_in_time_and_number(slow: SlowOptical, make_chip: MakeChip) -> None:
    settings = LaneSettings(optical_batch=1, optical_queue=1, timeout_s=0.05)
    batched = BatchedEmbedder(slow, settings)
    optical = make_chip(Modality.OPTICAL, 1)
    with pytest.raises(OverloadedError, match=r"not embedded within 0.05 s"):
        batched.embed(optical)
    with ThreadPoolExecutor(1) as pool:
        queued = pool.submit(batched.embed, optical, 10)
        while batched.queue_depths()["optical"] == 0:
            pass
        with pytest.raises(OverloadedError, match="1 chips wait in the optical queue"):
            batched.embed(optical)
        slow.let_go.set()
        queued.result(10)
    batched.close()
    with pytest.raises(OverloadedError, match="closing"):
        batched.embed(optical)
