"""Ready is who can do the job now: each part is asked, and none can hold up the answer."""

import threading
import time
from collections.abc import Iterator

import pytest

from service.contract.chip import Chip
from service.contract.embedding import EmbeddedChip
from service.contract.errors import OverloadedError
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.maintenance.readiness import ReadinessCheck
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore


class Part:
    """A store that can fail and hang."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0

    def ping(self) -> None:
        self.asked += 1
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error

    def append(self, entry: object, *, closing: bool = False) -> None:
        raise AssertionError("asking whether it works makes no entry")

    def close(self) -> None:
        return


class Crowded(FakeEmbedder):
    """An embedder that is too busy, or hangs."""

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
    part.go_on.set()


@pytest.fixture
def embedder() -> Crowded:
    return Crowded()


@pytest.fixture
def ready(embedder: Crowded, audit: Part) -> ReadinessCheck:
    gallery = FakeGallery("fake-bundle", WIDTH)
    return ReadinessCheck(
        embedder,
        gallery,
        FakeMatchStore(),
        FakeChipStore(),
        audit,
        max_age_s=0.0,
        limit_s=0.3,
        stall_s=30.0,
    )


@pytest.mark.parametrize(
    "error", [StoreFullError("the disk is full"), StoreUnavailableError("gone"), OSError("defect")]
)
def test_red_while_a_part_fails_and_green_again_by_itself(
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


def test_a_part_that_hangs_is_named_in_time_and_asked_once(
    ready: ReadinessCheck, audit: Part
) -> None:
    assert ready().ready
    audit.go_on.clear()
    asked, began = audit.asked, time.monotonic()
    for _ in range(3):
        state = ready()
        assert "no answer" in (state.parts["audit"] or "")
        assert state.parts["inference"] is None
    assert time.monotonic() - began < 3.0
    assert audit.asked == asked + 1
    audit.go_on.set()
    assert ready().ready


def test_a_full_queue_that_moves_on_is_ready_and_one_that_hangs_is_not(
    ready: ReadinessCheck, embedder: Crowded
) -> None:
    embedder.full = True
    embedder.running_s = 2.0
    assert ready().ready
    embedder.running_s = 31.0
    assert "queue is full" in (ready().parts["inference"] or "")
    embedder.full, embedder.running_s = False, 0.0
    assert ready().ready


def test_what_never_answered_does_not_work(audit: Part) -> None:
    class Loading(Crowded):
        def embed(self, chip: Chip) -> EmbeddedChip:
            assert audit.go_on.wait(10)
            return super().embed(chip)

    audit.go_on.clear()
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(
        Loading(), gallery, FakeMatchStore(), FakeChipStore(), Part(), limit_s=0.1
    )
    assert check().parts["inference"] == "it has not answered yet"
    audit.go_on.set()


def test_a_fresh_answer_is_used_again(embedder: Crowded, audit: Part) -> None:
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(
        embedder, gallery, FakeMatchStore(), FakeChipStore(), audit, max_age_s=60.0
    )
    for _ in range(5):
        assert check().ready
    assert (audit.asked, embedder.calls) == (1, 1)


class FullHistory(FakeMatchStore):
    def ping(self) -> None:
        raise StoreFullError("no room for another match")


def test_the_match_history_is_part_of_the_gallery() -> None:
    gallery = FakeGallery("fake-bundle", WIDTH)
    check = ReadinessCheck(FakeEmbedder(), gallery, FullHistory(), FakeChipStore(), Part())
    assert "no room for another match" in (check().parts["gallery"] or "")
