"""A match that was found is answered: what becomes of it when it cannot be stored."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.contract.chip import Modality
from service.contract.framing.records import FramingMode
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.matching.match import Matcher, MatchOptions, MatchResult
from service.identity.matching.recording import WARNINGS, MatchRecorder, Unstored
from service.identity.ports.outbox import Outbox
from service.identity.records.audit import AuditPosition
from service.identity.records.match_records import MatchRecord
from service.identity.records.matches import Match
from service.identity.uploads import ChipMetadata, ChipUpload
from service.storage.local.outbox import FolderOutbox
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore
from tests.support.fakes.outbox import NoOutbox
from tests.support.inputs.scene_files import empty_file
from tests.support.use_cases import CALIBRATION, MODEL, fake_upload_embedder, make_context, sar


@dataclass
class Place:
    """A process, its stores, and one method of a store that fails while `broken` is set."""

    gallery: FakeGallery
    chips: FakeChipStore
    matches: FakeMatchStore
    outbox: Outbox
    matcher: Matcher
    recorder: MatchRecorder

    def match(self, upload: ChipUpload) -> MatchResult:
        return self.matcher.match(upload, MatchOptions())

    def is_stored(self, result: MatchResult) -> bool:
        """Return whether chip, sighting and record of a match are all stored."""
        record = self.matches.get(result.match.id)
        sighting = self.gallery.get_sighting(result.match.query.id)
        return (
            record is not None
            and record.match.stored
            and sighting is not None
            and bool(self.chips.get(sighting.chip_sha256))
        )


def make_place(outbox: Outbox, matches: FakeMatchStore | None = None) -> Place:
    gallery, chips = FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore()
    matches = matches or FakeMatchStore()
    context = replace(make_context(gallery, chips, matches=matches), outbox=outbox)
    uploads = fake_upload_embedder()
    matcher = Matcher(context, uploads, MODEL, CALIBRATION, allow_confident=True)
    return Place(gallery, chips, matches, outbox, matcher, MatchRecorder(context, uploads))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(FolderOutbox(tmp_path / "outbox"))


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


STEPS = [("chips", "put"), ("gallery", "put_open_sightings"), ("matches", "put")]
ERRORS = [StoreUnavailableError("away"), StoreFullError("full")]


@pytest.mark.parametrize(("store", "method"), STEPS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.kind)
def test_a_match_that_cannot_be_stored_is_answered_and_stored_later(
    place: Place, monkeypatch: pytest.MonkeyPatch, store: str, method: str, error: Exception
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(getattr(place, store), method, failing(error))
        result = place.match(sar(1))
        assert result.unstored is Unstored.WAITING
        assert result.match.stored is False
        assert WARNINGS[Unstored.WAITING] in result.match.query.warnings
        assert list(place.outbox.ids()) == [result.match.id]
        assert place.recorder.record_waiting() == 0
        assert list(place.outbox.ids()) == [result.match.id]
    assert place.recorder.record_waiting() == 1
    assert place.is_stored(result)
    assert list(place.outbox.ids()) == []
    record = place.matches.get(result.match.id)
    assert record is not None
    assert not set(WARNINGS.values()) & set(record.match.query.warnings)


def test_all_chips_of_one_ship_are_stored_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(place.chips, "put", failing(StoreUnavailableError("away")))
        match = place.matcher.match(sar(1), MatchOptions(), [sar(2), sar(3)]).match
    assert not match.stored
    assert place.recorder.record_waiting() == 1
    assert len(set(match.sighting_ids)) == 3
    for query in match.queries:
        assert place.gallery.get_sighting(query.id) is not None
        assert place.chips.get(query.chip_sha256)


def test_a_match_without_any_room_is_answered_and_said_to_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = make_place(NoOutbox())
    monkeypatch.setattr(place.matches, "put", failing(StoreUnavailableError("away")))
    result = place.match(sar(1))
    assert result.unstored is Unstored.LOST
    assert result.match.stored is False
    assert WARNINGS[Unstored.LOST] in result.match.query.warnings


def test_a_stored_match_has_no_warning(place: Place) -> None:
    result = place.match(sar(1))
    assert result.unstored is None
    assert result.match.stored is True
    assert place.is_stored(result)
    assert list(place.outbox.ids()) == []


def test_the_chip_is_stored_once_and_before_the_audit_entry(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[bytes] = []
    put, record = place.chips.put, place.matcher._trail.record_match

    def noted(data: bytes) -> str:
        stored.append(data)
        return put(data)

    def recorded(match: Match, options: Mapping[str, object]) -> AuditPosition:
        assert stored == [sar(1).data]
        return record(match, options)

    monkeypatch.setattr(place.chips, "put", noted)
    monkeypatch.setattr(place.matcher._trail, "record_match", recorded)
    assert place.is_stored(place.match(sar(1)))
    assert stored == [sar(1).data]
    place.chips.delete(sar(1).digest)
    assert place.is_stored(place.match(sar(1)))  # although the models have nothing to do


def test_a_match_that_a_full_disk_refuses_leaves_no_chip(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        place.matcher._trail, "record_match", failing(StoreFullError("no room for the entry"))
    )
    with pytest.raises(StoreFullError, match="no room for the entry"):
        place.match(sar(1))
    assert not place.chips.data


class Stored(FakeMatchStore):
    """Notes how many records each write has; fails for groups with the record of one chip."""

    def __init__(self, refused: ChipUpload | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.written: list[int] = []
        self.refused = None if refused is None else refused.digest
        self.error = error

    def put(self, *records: MatchRecord) -> None:
        self.written.append(len(records))
        if self.error and self.refused in [one.match.query.chip_sha256 for one in records]:
            raise self.error
        super().put(*records)


def match_at_once(place: Place, *uploads: ChipUpload) -> list[MatchResult]:
    """Match chips in several threads, all of which wait to write at the same time."""
    recorder = place.matcher._recorder
    with ThreadPoolExecutor(len(uploads)) as pool:
        with recorder._write_lock:
            results = [pool.submit(place.match, one) for one in uploads]
            deadline = time.monotonic() + 20
            while len(recorder._waiting) < len(uploads) and time.monotonic() < deadline:
                time.sleep(0.01)
        return [one.result() for one in results]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return FolderOutbox(tmp_path / "outbox")


def test_matches_that_wait_to_be_stored_share_one_write(outbox: Outbox) -> None:
    matches = Stored()
    place = make_place(outbox, matches)
    results = match_at_once(place, sar(1), sar(2), sar(3), sar(1))
    assert all(place.is_stored(one) for one in results)
    assert len({one.match.id for one in results}) == 4
    assert matches.written == [4]


def test_only_the_match_that_has_no_room_waits(outbox: Outbox) -> None:
    place = make_place(outbox, Stored(sar(2), StoreFullError("full")))
    results = match_at_once(place, sar(1), sar(2), sar(3))
    assert [one.unstored for one in results] == [None, Unstored.WAITING, None]
    assert [place.is_stored(one) for one in results] == [True, False, True]


def test_a_store_that_is_away_is_asked_once_for_all(outbox: Outbox) -> None:
    matches = Stored(sar(2), StoreUnavailableError("away"))
    place = make_place(outbox, matches)
    results = match_at_once(place, sar(1), sar(2), sar(3))
    assert {one.unstored for one in results} == {Unstored.WAITING}
    assert matches.written == [3]
    matches.error = None
    assert place.recorder.record_waiting() == 3
    assert all(place.is_stored(one) for one in results)


def test_a_judged_record_is_not_written_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was stored, the sighting was not, and an analyst judged the match meanwhile."""
    with monkeypatch.context() as broken:
        broken.setattr(place.chips, "get", failing(StoreUnavailableError("away")))
        broken.setattr(place.chips, "put", lambda data: _put_once(place, data))
        result = place.match(sar(1))
    assert result.unstored is Unstored.WAITING
    record = place.matches.get(result.match.id)
    assert record is not None
    judged = record.model_copy(update={"asked_by": "judged"})
    place.matches.put(judged)
    assert place.recorder.record_waiting() == 1
    assert place.matches.get(result.match.id) == judged
    assert place.is_stored(result)


def _put_once(place: Place, data: bytes) -> str:
    if place.matches.unjudged(None, 0):
        raise StoreUnavailableError("away again")
    return FakeChipStore.put(place.chips, data)


SHIPLESS = ChipUpload(empty_file(Modality.SAR), ChipMetadata(framing=FramingMode.AS_IS))


@pytest.mark.parametrize("upload", [sar(1), SHIPLESS], ids=["framed", "as-is"])
def test_a_match_of_a_former_bundle_is_embedded_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, upload: ChipUpload
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(place.matches, "put", failing(StoreUnavailableError("away")))
        result = place.match(upload)
    [match_id] = place.outbox.ids()
    waiting = place.outbox.get(match_id)
    assert waiting is not None
    [(chip, known)] = waiting.chips
    former = known.sighting.model_copy(update={"bundle_id": "former"})
    turned = replace(known, sighting=former, vector=known.vector[::-1].copy())
    place.gallery.delete_sightings([result.match.query.id])
    place.outbox.put(replace(waiting, chips=[(chip, turned)]))
    assert place.recorder.record_waiting() == 1
    assert place.is_stored(result)
    stored = place.gallery.get_sighting(result.match.query.id)
    assert stored is not None
    assert stored.bundle_id == FakeEmbedder.bundle_id
