"""An embedder for many threads: results do not mix, lanes are separate, waiting is bounded."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.errors import OverloadedError, TranslationError
from service.inference.batcher import BatchedEmbedder, LaneSettings
from service.inference.embedder import Embedder, build_embedder
from tests.support.training.tiny_bundle import MakeBundle, noise_chip


def test_200_chips_from_32_threads_equal_their_serial_result(make_bundle: MakeBundle) -> None:
    embedder = build_embedder(make_bundle(), "cpu", 1)
    chips = [noise_chip(Modality.SAR if i % 2 else Modality.OPTICAL, i) for i in range(200)]
    serial = [embedder.embed_many([chip])[0].vector for chip in chips]
    reports: list[tuple[str, int]] = []
    batched = BatchedEmbedder(embedder, listener=lambda *report: reports.append(report))
    with ThreadPoolExecutor(32) as pool:
        parallel = list(pool.map(batched.embed, chips))
    batched.close()
    for expected, embedded in zip(serial, parallel, strict=True):
        assert np.allclose(embedded.vector, expected, atol=1e-4)
    assert {lane for lane, _ in reports} == {"sar", "optical"}
    assert sum(size for _, size in reports) == 200
    assert max(size for _, size in reports) > 1


def test_bundle_id_width_and_translation_are_those_of_the_embedder(make_bundle: MakeBundle) -> None:
    embedder = build_embedder(make_bundle(), "cpu", 1)
    batched = BatchedEmbedder(embedder)
    assert (batched.bundle_id, batched.width) == (embedder.bundle_id, 6)
    chip = noise_chip(Modality.OPTICAL, 1)
    assert np.array_equal(batched.translate(chip), embedder.translate(chip))
    with pytest.raises(TranslationError):
        batched.translate(noise_chip(Modality.SAR, 1))
    assert batched.queue_depths() == {"optical": 0, "sar": 0, "pictures": 0}
    batched.close()


@pytest.mark.parametrize("modality", list(Modality))
def test_other_work_is_done_while_the_models_work(modality: Modality) -> None:
    embedder = SlowOptical()
    batched = BatchedEmbedder(embedder)
    # The optical chip is not done before the other work is.
    done = batched.embed_all(
        [noise_chip(modality, 1), noise_chip(Modality.OPTICAL, 2)], embedder.released.set
    )
    assert len(done) == 2
    batched.close()


class SlowOptical(Embedder):
    """Embeds SAR chips at once; optical chips and translations wait for the event `released`."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.bundle_id = "slow"
        self.width = 2

    def embed_many(self, chips: Sequence[Chip]) -> list[EmbeddedChip]:
        if any(chip.modality is Modality.OPTICAL for chip in chips):
            assert self.released.wait(10)
        return [EmbeddedChip(np.array([1, 0], np.float32)) for _ in chips]

    def translate(self, _chip: Chip) -> NDArray[np.uint8]:
        assert self.released.wait(10)
        return np.zeros((1, 2, 2), np.uint8)


@pytest.fixture
def slow() -> Iterator[SlowOptical]:
    embedder = SlowOptical()
    yield embedder
    embedder.released.set()


def test_a_slow_translation_does_not_block_a_sar_query(slow: SlowOptical) -> None:
    batched = BatchedEmbedder(slow, LaneSettings(timeout_s=5))
    optical, sar = noise_chip(Modality.OPTICAL, 1), noise_chip(Modality.SAR, 2)
    with ThreadPoolExecutor(2) as pool:
        embedding = pool.submit(batched.embed, optical)
        translation = pool.submit(batched.translate, optical)
        assert batched.embed(sar).vector.shape == (2,)
        assert not embedding.done()
        assert not translation.done()
        slow.released.set()
        assert embedding.result(10).vector.shape == (2,)
        assert translation.result(10).shape == (1, 2, 2)
    batched.close()


def test_waiting_is_bounded_in_time_and_number(slow: SlowOptical) -> None:
    optical = noise_chip(Modality.OPTICAL, 1)
    impatient = BatchedEmbedder(slow, LaneSettings(timeout_s=0.05))
    with pytest.raises(OverloadedError, match=r"not embedded within 0.05 s"):
        impatient.embed(optical)
    batched = BatchedEmbedder(slow, LaneSettings(optical_batch=1, optical_queue=1, timeout_s=10))
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(batched.embed, optical)
        while not batched.busy_s():
            pass
        queued = pool.submit(batched.embed, optical)
        while batched.queue_depths()["optical"] == 0:
            pass
        with pytest.raises(OverloadedError, match="1 chips wait in the optical queue"):
            batched.embed(optical)
        slow.released.set()
        running.result(10)
        queued.result(10)
    impatient.close()
    batched.close()
    with pytest.raises(OverloadedError, match="closing"):
        batched.embed(optical)
