"""What every `MatchStore` does, run on the fake and on each adapter; the server's also over HTTP.

`real_qdrant.py` adds a real Qdrant server, where the environment names one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.contract.chip import Modality
from service.identity.errors import InvalidRequestError
from service.identity.ports.matches import MatchStore
from service.identity.records.base import GeoPoint
from service.identity.records.match_records import (
    Area,
    Decision,
    Finding,
    MatchFilter,
    MatchRecord,
    Standing,
)
from service.identity.records.matches import Verdict
from service.storage.server.connection import ServerConnection
from service.storage.server.matches import ServerMatchStore
from service.storage.sqlite.matches import SqliteMatchStore
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.match_records import make_match_record, with_judgement
from tests.support.fakes.matches import FakeMatchStore
from tests.support.fakes.records import START, make_sighting, make_vessel
from tests.support.real_qdrant import REAL_KINDS, real_server

KINDS = ["fake", "edge", "http", *REAL_KINDS]


@pytest.fixture(params=KINDS)
def matches(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[MatchStore]:
    if request.param == "fake":
        yield FakeMatchStore()
    elif request.param == "edge":
        edge = SqliteMatchStore(quick_folder)
        yield edge
        edge.close()
    elif request.param == "http":
        with running_qdrant() as double:
            remote = ServerMatchStore(ServerConnection(double.url))
            yield remote
            remote.close()
    else:
        with real_server() as (connect, prefix):
            real = ServerMatchStore(connect(), prefix=prefix)
            yield real
            real.close()


def listed(matches: MatchStore, **where: object) -> list[UUID]:
    """Ids of the matches that pass, in the order of the list."""
    page = matches.page(MatchFilter.model_validate(where), 100, None)
    assert page.next_cursor is None
    return [record.id for record in page.matches]


def ids(*several: MatchRecord) -> list[UUID]:
    return [record.id for record in several]


class TestRecords:
    def test_a_record_is_read_back_unchanged(self, matches: MatchStore) -> None:
        vessels = [make_vessel(name="MV Ærø Queen", type="Cargo"), make_vessel(length_m=199.98)]
        record = with_judgement(
            make_match_record(vessels, options={"a": None, "b": [1, 0.1]}), Decision.REJECTED
        )
        record = with_judgement(
            with_judgement(record, Decision.CONFIRMED, make_vessel()), Decision.WITHDRAWN
        )
        record = record.model_copy(update={"unsettled": True})
        matches.put(record)
        assert matches.get(record.id) == record
        assert list(matches.all()) == [record]
        assert matches.page(MatchFilter(), 5, None).matches == [record]

    def test_a_match_without_candidates_is_stored(self, matches: MatchStore) -> None:
        record = make_match_record(verdict=Verdict.NO_MATCH)
        matches.put(record)
        assert matches.get(record.id) == record

    def test_an_unknown_match_is_none(self, matches: MatchStore) -> None:
        matches.put(make_match_record())
        assert matches.get(uuid4()) is None
        assert matches.get(UUID(int=0)) is None

    def test_put_replaces_the_whole_record(self, matches: MatchStore) -> None:
        vessel = make_vessel()
        record = make_match_record([make_vessel()])
        for newer in (record, with_judgement(record, Decision.CONFIRMED, vessel), record):
            matches.put(newer)
            assert matches.get(record.id) == newer
        assert list(matches.all()) == [record]
        assert listed(matches, vessel_id=vessel.id) == []

    def test_unsettled_records_are_found(self, matches: MatchStore) -> None:
        settled, unsettled = (
            make_match_record(),
            [make_match_record(unsettled=True) for _ in range(2)],
        )
        matches.put(settled, *unsettled)
        assert {record.id for record in matches.unsettled()} == {record.id for record in unsettled}
        matches.put(unsettled[0].model_copy(update={"unsettled": False}))
        assert matches.unsettled() == [unsettled[1]]

    def test_matches_that_wait_to_be_sent_are_listed_oldest_first(
        self, matches: MatchStore
    ) -> None:
        waiting = [make_match_record(unannounced=True) for _ in range(150)]
        matches.put(make_match_record(), *waiting[::-1])
        assert matches.unannounced() == ids(*waiting)
        assert matches.get(waiting[0].id) == waiting[0]
        matches.put(with_judgement(waiting[0], Decision.REJECTED))
        matches.put(waiting[1].model_copy(update={"unannounced": False}))
        assert matches.unannounced() == ids(waiting[0], *waiting[2:])

    def test_all_records_are_read_however_many(self, matches: MatchStore) -> None:
        several = [make_match_record() for _ in range(600)]
        matches.put(*several)
        assert sorted(record.id for record in matches.all()) == sorted(ids(*several))

    def test_an_empty_store_answers(self, matches: MatchStore) -> None:
        assert listed(matches) == []
        assert matches.unsettled() == []
        assert matches.unannounced() == []
        assert list(matches.all()) == []
        matches.ping()

    def test_many_threads_can_write_at_once(self, matches: MatchStore) -> None:
        several = [make_match_record() for _ in range(40)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(matches.put, several))
            found = list(pool.map(matches.get, ids(*several)))
        assert found == several


class TestPages:
    def test_pages_hold_every_match_once_newest_first(self, matches: MatchStore) -> None:
        several = [make_match_record() for _ in range(11)]
        matches.put(*several[::2])
        matches.put(*several[1::2])
        seen, cursor = [], None
        while True:
            page = matches.page(MatchFilter(), 4, cursor)
            seen += ids(*page.matches)
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.matches) == 4
        assert seen == ids(*several)[::-1]

    def test_a_full_last_page_has_no_successor(self, matches: MatchStore) -> None:
        matches.put(*(make_match_record() for _ in range(4)))
        first = matches.page(MatchFilter(), 2, None)
        second = matches.page(MatchFilter(), 2, first.next_cursor)
        assert len(second.matches) == 2
        assert second.next_cursor is None

    def test_pages_are_stable_while_matches_are_added(self, matches: MatchStore) -> None:
        several = [make_match_record() for _ in range(6)]
        matches.put(*several)
        first = matches.page(MatchFilter(), 3, None)
        matches.put(make_match_record())
        matches.put(with_judgement(several[1], Decision.REJECTED))
        second = matches.page(MatchFilter(), 3, first.next_cursor)
        assert ids(*second.matches) == ids(*several[2::-1])

    def test_a_cursor_of_another_filter_is_rejected(self, matches: MatchStore) -> None:
        matches.put(*(make_match_record() for _ in range(2)))
        cursor = matches.page(MatchFilter(), 1, None).next_cursor
        with pytest.raises(InvalidRequestError):
            matches.page(MatchFilter(verdict=Verdict.NO_MATCH), 1, cursor)

    def test_pages_of_a_filtered_list_are_complete(self, matches: MatchStore) -> None:
        several = [
            make_match_record(verdict=Verdict.CONFIDENT if n % 3 else Verdict.NO_MATCH)
            for n in range(20)
        ]
        matches.put(*several)
        seen, cursor = [], None
        while True:
            page = matches.page(MatchFilter(verdict=Verdict.NO_MATCH), 3, cursor)
            seen += ids(*page.matches)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == ids(*several[::3])[::-1]

    @pytest.mark.parametrize("cursor", ["", "nonsense", "AAAA", "é", "../..", "A" * 23, "0" * 500])
    def test_a_foreign_cursor_is_rejected(self, matches: MatchStore, cursor: str) -> None:
        matches.put(make_match_record())
        with pytest.raises(InvalidRequestError):
            matches.page(MatchFilter(), 5, cursor)


class TestFilters:
    def test_verdict_and_modality(self, matches: MatchStore) -> None:
        sure = make_match_record(verdict=Verdict.CONFIDENT)
        seen = make_match_record(verdict=Verdict.CONFIDENT, query=make_sighting(modality="optical"))
        none = make_match_record(verdict=Verdict.NO_MATCH)
        matches.put(sure, seen, none)
        assert listed(matches, verdict="confident") == ids(seen, sure)
        assert listed(matches, modality="sar") == ids(none, sure)
        assert listed(matches, verdict="confident", modality=Modality.OPTICAL) == ids(seen)
        assert listed(matches, verdict="ambiguous") == []

    def test_case_file_name_and_note(self, matches: MatchStore) -> None:
        harbour, sea, bare = (
            make_match_record(query=make_sighting(None, **facts))
            for facts in (
                {"case": "Op. Ærø 7", "file_name": "S1_Harbour 0012.tif", "note": "two cranes aft"},
                {"case": "Op. Ærø 70", "file_name": "s1_sea.tif", "note": "no cranes; smoke"},
                {},
            )
        )
        matches.put(harbour, sea, bare)
        assert listed(matches, case="op. ærø 7") == ids(harbour)
        assert listed(matches, case="Op.") == []
        assert listed(matches, file_name="HARBOUR 00") == ids(harbour)
        assert listed(matches, file_name="s1_") == ids(sea, harbour)
        assert listed(matches, note="Cranes") == ids(sea, harbour)
        assert listed(matches, note="cranes aft", file_name=".tif") == ids(harbour)
        assert listed(matches, note="cranes fore") == []

    def test_standing_follows_the_latest_judgement(self, matches: MatchStore) -> None:
        vessel = make_vessel()
        fresh = make_match_record()
        confirmed = with_judgement(make_match_record(), Decision.CONFIRMED, vessel)
        rejected = with_judgement(
            with_judgement(make_match_record(), Decision.CONFIRMED, vessel), Decision.REJECTED
        )
        withdrawn = with_judgement(
            with_judgement(make_match_record(), Decision.CONFIRMED, vessel), Decision.WITHDRAWN
        )
        matches.put(fresh, confirmed, rejected, withdrawn)
        assert listed(matches, standing=Standing.OPEN) == ids(withdrawn, fresh)
        assert listed(matches, standing=Standing.CONFIRMED) == ids(confirmed)
        assert listed(matches, standing=Standing.REJECTED) == ids(rejected)
        matches.put(with_judgement(confirmed, Decision.WITHDRAWN))
        assert listed(matches, standing=Standing.CONFIRMED) == []

    def test_a_vessel_is_among_the_candidates_or_confirmed(self, matches: MatchStore) -> None:
        ship, other = make_vessel(), make_vessel()
        second = make_match_record([other, ship])
        elsewhere = with_judgement(make_match_record([other]), Decision.CONFIRMED, ship)
        taken_back = with_judgement(
            with_judgement(make_match_record([other]), Decision.CONFIRMED, ship), Decision.WITHDRAWN
        )
        matches.put(second, elsewhere, taken_back, make_match_record())
        assert listed(matches, vessel_id=ship.id) == ids(elsewhere, second)
        assert listed(matches, vessel_id=other.id) == ids(taken_back, elsewhere, second)
        assert listed(matches, vessel_id=uuid4()) == []

    def test_merged_vessels_count_as_the_vessel_and_cursors_stay(self, matches: MatchStore) -> None:
        ship, merged = make_vessel(), make_vessel()
        several = [make_match_record([one]) for one in (ship, merged, ship, merged)]
        matches.put(*several, make_match_record())
        alone = MatchFilter(vessel_id=ship.id)
        first = matches.page(alone, 1, None)
        assert ids(*first.matches) == ids(several[2])
        both = MatchFilter(vessel_id=ship.id, merged_ids=(uuid4(), merged.id))
        rest = matches.page(both, 5, first.next_cursor)
        assert ids(*rest.matches) == ids(several[1], several[0])
        assert ids(*matches.page(both, 5, None).matches) == ids(*several[::-1])

    def test_matches_of_one_chip_share_a_sighting(self, matches: MatchStore) -> None:
        query = make_sighting(modality="sar")
        first, again = make_match_record(query=query), make_match_record(query=query)
        matches.put(first, again, make_match_record())
        assert listed(matches, sighting_id=query.id) == ids(again, first)

    def test_a_match_of_several_chips_is_found_by_each(self, matches: MatchStore) -> None:
        record = make_match_record()
        more = (make_sighting(modality="sar"), make_sighting(modality="sar"))
        several = record.model_copy(
            update={"match": record.match.model_copy(update={"more_queries": more})}
        )
        matches.put(several, make_match_record())
        assert matches.get(several.id) == several
        for query in several.match.queries:
            assert listed(matches, sighting_id=query.id) == [several.id]

    def test_a_time_range_includes_its_start_and_not_its_end(self, matches: MatchStore) -> None:
        step = timedelta(microseconds=1)
        early, at, late = (make_match_record(asked_at=START + n * step) for n in (-1, 0, 1))
        matches.put(early, at, late)

        def within(**bounds: datetime) -> set[UUID]:
            return set(listed(matches, **bounds))

        assert within(since=START) == {at.id, late.id}
        assert within(until=START) == {early.id}
        assert within(since=START, until=START + step) == {at.id}
        assert within(since=START, until=START) == set()
        elsewhere = START.astimezone(timezone(timedelta(hours=9)))
        assert within(since=elsewhere) == {at.id, late.id}

    @pytest.mark.parametrize("bounds", [{"until": datetime.min}, {"since": datetime.max}])
    def test_the_limits_of_the_calendar_match_no_record(
        self, matches: MatchStore, bounds: dict[str, datetime]
    ) -> None:
        matches.put(make_match_record())
        assert listed(matches, **bounds) == []

    @pytest.mark.parametrize(
        ("area", "inside"),
        [
            ((103.0, 1.0, 105.0, 2.0), {"Singapore"}),
            ((-180.0, -90.0, 180.0, 90.0), {"Singapore", "Fiji", "Samoa"}),
            ((170.0, -20.0, -165.0, -10.0), {"Fiji", "Samoa"}),
            ((170.0, -20.0, 179.0, -10.0), {"Fiji"}),
            ((0.0, 0.0, 10.0, 10.0), set()),
        ],
    )
    def test_an_area_holds_the_position_of_the_query(
        self, matches: MatchStore, area: tuple[float, float, float, float], inside: set[str]
    ) -> None:
        places = {"Singapore": (1.25, 103.9), "Fiji": (-17.8, 178.4), "Samoa": (-13.8, -171.8)}
        for name, (lat, lon) in places.items():
            query = make_sighting(position=GeoPoint(lat=lat, lon=lon), file_name=name)
            matches.put(make_match_record(query=query))
        matches.put(make_match_record())
        west, south, east, north = area
        sought = MatchFilter(area=Area(west=west, south=south, east=east, north=north))
        found = matches.page(sought, 10, None).matches
        assert {one.match.query.file_name for one in found} == inside

    def test_filters_combine(self, matches: MatchStore) -> None:
        ship = make_vessel()
        wanted = with_judgement(make_match_record([ship]), Decision.CONFIRMED, ship)
        matches.put(
            wanted,
            make_match_record([ship]),
            with_judgement(make_match_record(), Decision.REJECTED),
        )
        found = listed(
            matches,
            verdict="ambiguous",
            standing="confirmed",
            modality="sar",
            vessel_id=ship.id,
            sighting_id=wanted.match.query.id,
            since=START,
            until=wanted.asked_at + timedelta(seconds=1),
        )
        assert found == ids(wanted)


class TestStates:
    def test_matches_are_listed_by_their_state(self, matches: MatchStore) -> None:
        finding = Finding(vessel_id=uuid4(), sighting_id=uuid4())
        asked = make_match_record()
        new = make_match_record().model_copy(update={"found_by": finding})
        judged = with_judgement(
            make_match_record().model_copy(update={"found_by": finding}), Decision.REJECTED
        )
        overtaken = make_match_record().model_copy(update={"found_by": finding, "overtaken": True})
        answered = with_judgement(make_match_record(), Decision.REJECTED)
        matches.put(asked, new, judged, overtaken, answered)
        assert listed(matches, state="asked") == ids(asked)
        assert listed(matches, state="new") == ids(new)
        assert set(listed(matches, state="settled")) == set(ids(judged, overtaken, answered))
        assert matches.get(new.id) == new
        reopened = with_judgement(judged, Decision.WITHDRAWN)
        matches.put(reopened)
        assert set(listed(matches, state="new")) == set(ids(new, reopened))
