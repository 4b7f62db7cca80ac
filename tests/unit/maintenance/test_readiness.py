"""Readiness checks every part, and no part can delay the result."""

import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from service.contract.chip import Chip
from service.contract.embedding import EmbeddedChip
from service.contract.errors import OverloadedError
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.maintenance.readiness import ReadinessCheck
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore


class Part:
    """A store that can fail and hang."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        assert self.may_answer.wait(10)
        if self.error is not None:
            raise self.error

    def append(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("a readiness check writes no entry")

    def close(self) -> None:
        return


class Crowded(FakeEmbedder):
    """An embedder that can be overloaded or hang."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.running_s = 0.0

    def embed(self, chip: Chip) -> EmbeddedChip:
        if self.full:
            raise OverloadedError("the queue is full")
        return super().embed(chip)

    def busy_s(self) -> float:
        return self.running_s


@pytest.fixture
def audit() -> Iterator[Part]:
    part = Part()
    yield part
    part.may_answer.set()


@pytest.fixture
def embedder() -> Crowded:
    return Crowded()


@pytest.fixture
def decoder() -> LocalDecoder:
    return LocalDecoder()


@pytest.fixture
def ready(embedder: Crowded, audit: Part, decoder: LocalDecoder) -> ReadinessCheck:
    gallery = FakeGallery("fake-bundle", WIDTH)
    return ReadinessCheck(
        embedder,
        gallery,
        FakeMatchStore(),
        FakeChipStore(),
        audit,
        decoder,
        max_age_s=0.0,
        limit_s=0.3,
        stall_s=30.0,
    )


def test_decoders_of_which_none_finishes_are_not_ready(
    ready: ReadinessCheck, decoder: LocalDecoder
) -> None:
    decoder.busy_s = 9.0
    assert ready().ready
    decoder.busy_s = 11.0
    assert "no decoder has been free for 11 s" in (ready().parts["decoding"] or "")
    decoder.busy_s = 0.0
    assert ready().ready


@pytest.mark.parametrize(
    "error", [StoreFullError("the disk is full"), StoreUnavailableError("gone"), OSError("defect")]
)
def test_a_failing_part_is_reported_until_it_works_again(
    ready: ReadinessCheck, audit: Part, error: Exception
) -> None:
    assert ready().ready
    audit.error = error
    state = ready()
    assert not state.ready
    assert str(error) in (state.parts["audit"] or "")
    assert [name for name, problem in state.parts.items() if problem] == ["audit"]
    audit.error = None
    assert ready().ready


def test_a_hanging_part_is_reported_in_time_and_checked_once(
    ready: ReadinessCheck, audit: Part
) -> None:
    assert ready().ready
    audit.may_answer.clear()
    pings, began = audit.pings, time.monotonic()
    for _ in range(3):
        state = ready()
        assert "no answer" in (state.parts["audit"] or "")
        assert state.parts["inference"] is None
    assert time.monotonic() - began < 3.0
    assert audit.pings == pings + 1
    audit.may_answer.set()
    assert ready().ready


def test_a_full_queue_is_ready_unless_it_hangs(ready: ReadinessCheck, embedder: Crowded) -> None:
    embedder.full = True
    embedder.running_s = 2.0
    assert ready().ready
    embedder.running_s = 31.0
    assert "queue is full" in (ready().parts["inference"] or "")
    embedder.full, embedder.running_s = False, 0.0
    assert ready().ready


def test_a_part_that_never_answered_is_not_ready(audit: Part) -> None:
    class Loading(Crowded):
        def embed(self, chip: Chip) -> EmbeddedChip:
            assert audit.may_answer.wait(10)
            return super().embed(chip)

    audit.may_answer.clear()
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(
        Loading(), gallery, FakeMatchStore(), FakeChipStore(), Part(), LocalDecoder(), limit_s=0.1
    )
    assert check().parts["inference"] == "it has not answered yet"
    audit.may_answer.set()


def test_a_recent_result_is_reused(embedder: Crowded, audit: Part) -> None:
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(
        embedder, gallery, FakeMatchStore(), FakeChipStore(), audit, LocalDecoder(), max_age_s=60.0
    )
    for _ in range(5):
        assert check().ready
    assert (audit.pings, embedder.calls) == (1, 1)


class FullMatchStore(FakeMatchStore):
    def ping(self) -> None:
        raise StoreFullError("no space for another match")


def test_the_match_records_are_checked_as_part_of_the_gallery() -> None:
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(
        FakeEmbedder(), gallery, FullMatchStore(), FakeChipStore(), Part(), LocalDecoder()
    )
    assert "no space for another match" in (check().parts["gallery"] or "")
