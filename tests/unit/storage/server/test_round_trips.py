"""How many calls to a Qdrant server a match makes, and how many of them one after the other."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from service.identity.context import in_parallel
from service.identity.matching.match import Matcher, MatchOptions
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from service.storage.server.matches import ServerMatchStore
from tests.support.doubles.qdrant_http import Body, QdrantDouble, serving
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.records import embedded, make_vessel
from tests.support.use_cases import CALIBRATION, MODEL, fake_upload_embedder, make_context, sar

LATENCY_S = 0.15
"""Long against the time that the double takes, so that calls at the same time overlap."""


@dataclass(frozen=True)
class Call:
    """A request, and when it was under way."""

    request: str
    began: float
    ended: float


class TimedDouble(QdrantDouble):
    """Notes each request, and answers it after a while."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._noting = threading.Lock()

    def answer(self, method: str, path: str, body: Body) -> object:
        began = time.monotonic()
        result = super().answer(method, path, body)
        time.sleep(LATENCY_S)
        call = Call(f"{method} {path.partition('?')[0]}", began, time.monotonic())
        with self._noting:
            self.calls.append(call)
        return result


def in_sequence(calls: list[Call]) -> int:
    """Return the largest number of calls of which each began after the one before had ended."""
    count, free_at = 0, 0.0
    for call in sorted(calls, key=lambda one: one.ended):
        if call.began >= free_at:
            count, free_at = count + 1, call.ended
    return count


@dataclass(frozen=True)
class Place:
    double: TimedDouble
    gallery: ServerGallery
    matcher: Matcher


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with (
        serving(TimedDouble()) as double,
        closing(
            ServerGallery(ServerConnection(double.url), FakeEmbedder.bundle_id, WIDTH)
        ) as gallery,
        closing(ServerMatchStore(ServerConnection(double.url))) as matches,
    ):
        for modality in ("optical", "sar"):
            vessel = make_vessel()
            gallery.put_vessel(vessel)
            one = embedded(0.5, vessel, modality=modality, bundle_id=FakeEmbedder.bundle_id)
            vector = one.vector[:WIDTH] / float((one.vector[:WIDTH] ** 2).sum() ** 0.5)
            gallery.put_sightings([replace(one, vector=vector)], vessel)
        context = replace(
            make_context(gallery, FakeChipStore(), matches=matches), write_all=in_parallel
        )
        matcher = Matcher(context, fake_upload_embedder(), MODEL, CALIBRATION, allow_confident=True)
        matcher.match(sar(1), MatchOptions())
        yield Place(double, gallery, matcher)


def calls_of(place: Place, seed: int, store: bool) -> list[Call]:
    """Match a new chip, with the counts known, and return the calls that this made."""
    place.gallery.counts()
    place.double.calls.clear()
    result = place.matcher.match(sar(seed), MatchOptions(store=store))
    assert len(result.match.candidates) == 2
    counting = ("/points/count", "/points/scroll")
    return [call for call in list(place.double.calls) if not call.request.endswith(counting)]


def test_a_stored_match_makes_three_round_trips(place: Place) -> None:
    calls = calls_of(place, 2, store=True)
    assert sorted(call.request.rpartition("/collections/")[2] for call in calls) == [
        "crossfix-matches/points",
        "crossfix-sightings-fake-bundle/points",
        "crossfix-sightings-fake-bundle/points",
        "crossfix-sightings-fake-bundle/points",
        "crossfix-sightings-fake-bundle/points/query/batch",
        "crossfix-vessels/points",
    ]
    assert in_sequence(calls) == 3


def test_a_match_that_is_not_stored_makes_two(place: Place) -> None:
    assert in_sequence(calls_of(place, 3, store=False)) == 2


def test_open_sightings_leave_the_counts_as_they_are(place: Place) -> None:
    place.gallery.counts()
    place.matcher.match(sar(4), MatchOptions())
    place.double.calls.clear()
    place.gallery.counts()
    asked = [call.request for call in place.double.calls]
    assert not any(request.endswith("/points/count") for request in asked)


def test_counting_is_one_round_trip(place: Place) -> None:
    place.gallery.put_vessel(make_vessel())
    place.double.calls.clear()
    counts = place.gallery.counts()
    assert (counts.vessels, counts.sightings) == (3, 2)
    assert in_sequence(place.double.calls) == 1
