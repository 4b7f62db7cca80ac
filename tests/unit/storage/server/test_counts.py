"""Counts of the gallery: which requests wait for them, and how old they may be."""

import time
from threading import Event

import pytest

from service.identity.records.sightings import GalleryCounts
from service.storage.server.counts import LARGE, KeptCounts

SLOW_MACHINE_S = 30.0


class Gallery:
    """Counts so many sightings, when it is allowed to."""

    def __init__(self, sightings: int) -> None:
        self.sightings = sightings
        self.allowed = Event()
        self.allowed.set()

    def count(self) -> GalleryCounts:
        assert self.allowed.wait(SLOW_MACHINE_S)
        return GalleryCounts(1, self.sightings)


def test_a_change_of_a_small_gallery_is_counted_at_once() -> None:
    gallery = Gallery(LARGE - 2)
    counts = KeptCounts(gallery.count)
    assert counts.get().sightings == LARGE - 2
    gallery.sightings += 1
    assert counts.get().sightings == LARGE - 2, "nobody said that it has changed"
    counts.outdate()
    assert counts.get().sightings == LARGE - 1
    counts.close()


@pytest.mark.parametrize("idle_s", [0.0, 50.0])
def test_no_request_waits_for_the_count_of_a_large_gallery(
    monkeypatch: pytest.MonkeyPatch, idle_s: float
) -> None:
    real, later = time.monotonic, [0.0]
    monkeypatch.setattr("service.storage.server.counts.time.monotonic", lambda: real() + later[0])
    gallery = Gallery(LARGE)
    counts = KeptCounts(gallery.count)
    assert counts.get().sightings == LARGE
    gallery.allowed.clear()
    gallery.sightings += 1
    counts.outdate()
    later[0] = idle_s
    assert counts.get().sightings == LARGE, "answered while it is being counted"
    gallery.allowed.set()
    deadline = real() + SLOW_MACHINE_S
    while counts.get().sightings == LARGE:
        assert real() < deadline, "it is never counted anew"
        time.sleep(0.01)
    later[0] += 100.0
    gallery.sightings += 1
    assert counts.get().sightings == LARGE + 2, "older than a minute"
    counts.close()
