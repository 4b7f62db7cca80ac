"""What every `Gallery` does: the fake and each adapter, the server adapter also over HTTP.

Set CROSSFIX_TEST_QDRANT_URL to run it on a real Qdrant server as well; it creates collections
with a random prefix there and removes them.
"""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient

from service.contract.chip import Modality
from service.identity.errors import InvalidRequestError
from service.identity.ports.gallery import Gallery
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import (
    EmbeddedSighting,
    GalleryCounts,
    GeoRadius,
    SightingFilter,
    VesselHit,
)
from service.identity.records.vessels import Vessel, VesselFilter, VesselState
from service.storage.edge.gallery import EdgeGallery
from service.storage.server.gallery import ServerGallery
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.records import (
    BUNDLE,
    START,
    WIDTH,
    embedded,
    make_sighting,
    make_vessel,
    query,
    tilted,
    uuid_between,
)

SERVER_URL = os.environ.get("CROSSFIX_TEST_QDRANT_URL")
KINDS = ["fake", "edge", "memory", "http", *(["server"] if SERVER_URL else [])]
HIDDEN = [state for state in VesselState if not state.visible]


@pytest.fixture(params=KINDS)
def gallery(request: pytest.FixtureRequest, quick_folder: Path) -> Iterator[Gallery]:
    if request.param == "fake":
        yield FakeGallery(BUNDLE, WIDTH)
    elif request.param == "edge":
        edge = EdgeGallery(quick_folder, BUNDLE, WIDTH)
        yield edge
        edge.close()
    elif request.param == "memory":
        local = ServerGallery(QdrantClient(":memory:"), bundle_id=BUNDLE, width=WIDTH)
        yield local
        local.close()
    elif request.param == "http":
        with running_qdrant() as double:
            remote = ServerGallery(double.url, bundle_id=BUNDLE, width=WIDTH)
            yield remote
            remote.close()
    else:
        yield from real_server()


def real_server() -> Iterator[Gallery]:
    assert SERVER_URL is not None
    prefix = f"crossfix-test-{uuid4().hex[:12]}"
    client = QdrantClient(SERVER_URL)
    yield ServerGallery(client, bundle_id=BUNDLE, width=WIDTH, prefix=prefix)
    for collection in client.get_collections().collections:
        if collection.name.startswith(prefix):
            client.delete_collection(collection.name)
    client.close()


def enrol(gallery: Gallery, *similarities: float, **fields: object) -> Vessel:
    """Enrol a visible vessel with one optical sighting for each similarity to `query()`."""
    vessel = make_vessel(**fields)
    gallery.put_vessel(vessel)
    gallery.put_sightings([embedded(s, vessel) for s in similarities], vessel)
    return vessel


def found(hits: list[VesselHit]) -> list[object]:
    return [hit.vessel.id for hit in hits]


class TestVessels:
    def test_a_vessel_is_read_back_unchanged(self, gallery: Gallery) -> None:
        vessel = make_vessel(
            name="MV Ærø Queen",
            imo="9074729",
            mmsi="244660000",
            callsign="PB1234",
            flag="NL",
            type="Cargo",
            length_m=199.98,
            beam_m=32.2,
            provenance={"name": {"source": "register", "as_of": START}},
            merged_into=uuid4(),
            split_from=uuid4(),
        )
        gallery.put_vessel(vessel)
        assert gallery.get_vessels([vessel.id, uuid4()]) == {vessel.id: vessel}

    def test_no_ids_give_no_vessels(self, gallery: Gallery) -> None:
        assert gallery.get_vessels([]) == {}

    def test_put_replaces_the_whole_record(self, gallery: Gallery) -> None:
        vessel = make_vessel(name="Old", mmsi="244660000")
        gallery.put_vessel(vessel)
        renamed = vessel.model_copy(update={"name": "New", "mmsi": None})
        gallery.put_vessel(renamed)
        assert gallery.get_vessels([vessel.id])[vessel.id] == renamed
        assert not gallery.list_vessels(VesselFilter(mmsi="244660000"), 10, None).vessels

    def test_imo_is_found_in_any_state(self, gallery: Gallery) -> None:
        hidden = make_vessel(imo="9074729", state=VesselState.ENROLLING)
        visible = make_vessel(imo="9074729")
        for vessel in (hidden, visible, make_vessel(imo="9632179"), make_vessel()):
            gallery.put_vessel(vessel)
        assert {v.id for v in gallery.find_by_imo("9074729")} == {hidden.id, visible.id}
        assert gallery.find_by_imo("8814275") == []

    def test_vessels_are_found_by_state(self, gallery: Gallery) -> None:
        by_state = {state: make_vessel(state=state) for state in VesselState}
        for vessel in by_state.values():
            gallery.put_vessel(vessel)
        wanted = (VesselState.ENROLLING, VesselState.DELETING)
        got = gallery.vessels_in_state(wanted)
        assert {v.id for v in got} == {by_state[state].id for state in wanted}
        assert gallery.vessels_in_state([]) == []

    def test_deleting_a_vessel_leaves_its_sightings(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, 0.9)
        gallery.delete_vessel(vessel.id)
        gallery.delete_vessel(vessel.id)
        gallery.delete_vessel(uuid4())
        assert gallery.get_vessels([vessel.id]) == {}
        assert len(gallery.sightings_of([vessel.id])) == 1
        assert gallery.search(query(), SightingFilter(), 5) == []
        assert gallery.counts() == GalleryCounts(0, 0)


class TestListing:
    def test_pages_hold_every_visible_vessel_once_in_order_of_id(self, gallery: Gallery) -> None:
        vessels = [make_vessel(name=f"Ship {i}") for i in range(11)]
        for vessel in vessels:
            gallery.put_vessel(vessel)
        for state in HIDDEN:
            gallery.put_vessel(make_vessel(state=state))
        seen, cursor = [], None
        while True:
            page = gallery.list_vessels(VesselFilter(), 4, cursor)
            seen += [v.id for v in page.vessels]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.vessels) == 4
        assert seen == sorted(v.id for v in vessels)

    def test_a_full_last_page_has_no_successor(self, gallery: Gallery) -> None:
        for _ in range(4):
            gallery.put_vessel(make_vessel())
        first = gallery.list_vessels(VesselFilter(), 2, None)
        second = gallery.list_vessels(VesselFilter(), 2, first.next_cursor)
        assert len(second.vessels) == 2
        assert second.next_cursor is None

    def test_pages_are_stable_while_vessels_are_added_and_deleted(self, gallery: Gallery) -> None:
        ids = sorted(uuid4() for _ in range(6))
        for vessel_id in ids:
            gallery.put_vessel(make_vessel(id=vessel_id))
        first = gallery.list_vessels(VesselFilter(), 3, None)
        gallery.put_vessel(make_vessel(id=uuid_between(ids[0], ids[1])))
        late = uuid_between(ids[3], ids[4])
        gallery.put_vessel(make_vessel(id=late))
        gallery.delete_vessel(ids[2])
        second = gallery.list_vessels(VesselFilter(), 10, first.next_cursor)
        assert [v.id for v in second.vessels] == [ids[3], late, ids[4], ids[5]]

    def test_name_matches_a_substring_in_any_case(self, gallery: Gallery) -> None:
        for name in ("Ever Given", "EVERGREEN STAR", "Nevermore", "Queen 100%_a", None):
            gallery.put_vessel(make_vessel(name=name))

        def names(wanted: str) -> set[str | None]:
            page = gallery.list_vessels(VesselFilter(name=wanted), 10, None)
            return {v.name for v in page.vessels}

        assert names("EVER") == {"Ever Given", "EVERGREEN STAR", "Nevermore"}
        assert names("r g") == {"Ever Given"}
        assert names("%_A") == {"Queen 100%_a"}
        assert names(".*") == set()

    def test_name_pages_are_complete(self, gallery: Gallery) -> None:
        for i in range(30):
            gallery.put_vessel(make_vessel(name=f"{'Alpha' if i % 3 else 'Beta'} {i}"))
        seen, cursor = [], None
        while True:
            page = gallery.list_vessels(VesselFilter(name="beta"), 4, cursor)
            seen += [v.id for v in page.vessels]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == sorted(set(seen))
        assert len(seen) == 10

    def test_imo_mmsi_and_type_are_exact_and_combine(self, gallery: Gallery) -> None:
        wanted = make_vessel(imo="9074729", mmsi="244660000", type="Cargo")
        others = [make_vessel(type="Cargo"), make_vessel(type="Cargo ship"), make_vessel()]
        for vessel in (wanted, *others):
            gallery.put_vessel(vessel)

        def ids(**fields: str) -> set[object]:
            page = gallery.list_vessels(VesselFilter(**fields), 10, None)
            return {v.id for v in page.vessels}

        assert ids(imo="9074729") == {wanted.id}
        assert ids(mmsi="244660000") == {wanted.id}
        assert ids(type="Cargo") == {wanted.id, others[0].id}
        assert ids(type="cARGO") == {wanted.id, others[0].id}
        assert ids(type="Cargo", mmsi="244660000") == {wanted.id}
        assert ids(imo="9074729", mmsi="244660001") == set()

    @pytest.mark.parametrize("cursor", ["", "nonsense", "AAAA", "é", "../..", "A" * 23, "0" * 500])
    def test_a_foreign_cursor_is_rejected(self, gallery: Gallery, cursor: str) -> None:
        gallery.put_vessel(make_vessel())
        with pytest.raises(InvalidRequestError):
            gallery.list_vessels(VesselFilter(), 5, cursor)


class TestSightings:
    def test_a_sighting_is_read_back_unchanged(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        sighting = make_sighting(
            vessel,
            modality=Modality.SAR,
            captured_at=datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
            position=GeoPoint(lat=-33.123456789, lon=179.999999),
            sensor="Capella",
            band=2,
            source="test",
            licence="CC0",
            warnings=("one", "zwei"),
            length_m=0.1 + 0.2,
        )
        gallery.put_vessel(vessel)
        gallery.put_sightings([EmbeddedSighting(sighting, query())], vessel)
        assert gallery.get_sighting(sighting.id) == sighting
        assert gallery.get_sighting(uuid4()) is None
        assert gallery.sightings_of([vessel.id]) == [sighting]

    def test_sightings_are_ordered_by_recording_time(self, gallery: Gallery) -> None:
        a, b = make_vessel(), make_vessel()
        late = embedded(0.5, a, recorded_at=START + timedelta(days=3))
        middle = embedded(0.5, b, recorded_at=START + timedelta(days=2))
        early = embedded(0.5, a, recorded_at=START + timedelta(days=1))
        gallery.put_sightings([late, early], a)
        gallery.put_sightings([middle], b)
        got = gallery.sightings_of([a.id, b.id])
        assert [s.id for s in got] == [e.sighting.id for e in (early, middle, late)]
        assert gallery.sightings_of([]) == []
        assert gallery.sightings_of([uuid4()]) == []

    def test_all_sightings_of_a_vessel_are_read(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        gallery.put_sightings([embedded(0.5, vessel) for _ in range(1200)], vessel)
        assert len(gallery.sightings_of([vessel.id])) == 1200

    def test_repeating_a_put_changes_nothing(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        one = embedded(0.9, vessel)
        for _ in range(3):
            gallery.put_sightings([one], vessel)
        assert gallery.counts() == GalleryCounts(1, 1)
        assert gallery.sightings_of([vessel.id]) == [one.sighting]

    def test_the_vessel_argument_replaces_that_of_the_sighting(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        one = embedded(0.9)
        gallery.put_sightings([one], vessel)
        stored = gallery.get_sighting(one.sighting.id)
        assert stored is not None
        assert stored.vessel_id == vessel.id

    def test_an_open_sighting_is_stored_but_not_found_by_search(self, gallery: Gallery) -> None:
        one = embedded(0.99)
        gallery.put_sightings([one], None)
        assert gallery.get_sighting(one.sighting.id) == one.sighting
        assert gallery.uses_chip(one.sighting.chip_sha256)
        assert gallery.search(query(), SightingFilter(), 5) == []
        assert gallery.counts() == GalleryCounts(0, 0)

    def test_moving_an_open_sighting_assigns_it(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, type="Tanker")
        one = embedded(0.9)
        gallery.put_sightings([one], None)
        gallery.move_sightings([one.sighting.id], vessel)
        [hit] = gallery.search(query(), SightingFilter(vessel_types=("tanker",)), 5)
        assert hit.vessel == vessel
        assert hit.hits[0].sighting.vessel_id == vessel.id
        assert gallery.counts() == GalleryCounts(1, 1)

    def test_an_open_sighting_that_is_put_again_is_replaced(self, gallery: Gallery) -> None:
        one = embedded(0.9, sensor="first")
        gallery.put_open_sightings([one])
        changed = one.sighting.model_copy(update={"sensor": "second"})
        gallery.put_open_sightings([EmbeddedSighting(changed, one.vector)])
        assert gallery.get_sighting(one.sighting.id) == changed

    def test_putting_an_open_sighting_does_not_remove_its_vessel(self, gallery: Gallery) -> None:
        vessel = enrol(gallery)
        decided, fresh = embedded(0.9), embedded(0.8)
        gallery.put_open_sightings([decided])
        gallery.move_sightings([decided.sighting.id], vessel)
        gallery.put_open_sightings([decided, fresh])
        [stored] = gallery.sightings_of([vessel.id])
        assert stored.id == decided.sighting.id
        assert gallery.get_sighting(fresh.sighting.id) == fresh.sighting
        assert gallery.counts() == GalleryCounts(1, 1)

    def test_moving_a_sighting_to_no_vessel_makes_it_open(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, type="Tanker", length_m=190)
        one = embedded(0.9)
        gallery.put_open_sightings([one])
        gallery.move_sightings([one.sighting.id], vessel)
        gallery.move_sightings([one.sighting.id, uuid4()], None)
        assert gallery.get_sighting(one.sighting.id) == one.sighting
        assert gallery.search(query(), SightingFilter(), 5) == []
        assert gallery.sightings_of([vessel.id]) == []
        assert gallery.counts() == GalleryCounts(1, 0)
        gallery.put_open_sightings([one])
        assert gallery.get_sighting(one.sighting.id) == one.sighting

    def test_a_batch_with_a_bad_embedding_stores_none(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        good = embedded(0.9, vessel)
        bad = embedded(0.9, vessel)
        for vector in (2 * query(), query()[:-1], np.full(WIDTH, np.nan, np.float32)):
            with pytest.raises(ValueError, match=r"unit|length|numbers"):
                gallery.put_sightings([good, type(bad)(bad.sighting, vector)], vessel)
        assert gallery.sightings_of([vessel.id]) == []
        assert gallery.counts() == GalleryCounts(1, 0)

    def test_the_embedding_of_another_bundle_is_rejected(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        with pytest.raises(ValueError, match="bundle"):
            gallery.put_sightings([embedded(0.9, vessel, bundle_id="another")], vessel)

    def test_an_empty_batch_changes_nothing(self, gallery: Gallery) -> None:
        gallery.put_sightings([], make_vessel())
        gallery.put_open_sightings([])
        gallery.move_sightings([], make_vessel())
        gallery.delete_sightings([])

    def test_moving_keeps_ids_and_embeddings(self, gallery: Gallery) -> None:
        a = enrol(gallery, 0.9, 0.8, type="Cargo", length_m=100)
        b = enrol(gallery, 0.1, type="Tanker", length_m=300)
        moving = gallery.sightings_of([a.id])
        gallery.move_sightings([*(s.id for s in moving), uuid4()], b)
        assert gallery.sightings_of([a.id]) == []
        assert {s.id for s in moving} < {s.id for s in gallery.sightings_of([b.id])}
        everything = SightingFilter(vessel_types=("Tanker",), vessel_length_m=(290, 310))
        [hit] = gallery.search(query(), everything, 5)
        assert hit.vessel == b
        assert [h.similarity for h in hit.hits] == pytest.approx([0.9, 0.8, 0.1], abs=1e-5)
        assert gallery.counts() == GalleryCounts(2, 3)

    def test_a_chip_is_in_use_until_its_last_sighting_is_deleted(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        first = embedded(0.9, vessel)
        twin = embedded(0.8, vessel, chip_sha256=first.sighting.chip_sha256)
        gallery.put_sightings([first, twin], vessel)
        gallery.delete_sightings([first.sighting.id, uuid4()])
        assert gallery.uses_chip(first.sighting.chip_sha256)
        gallery.delete_sightings([twin.sighting.id])
        gallery.delete_sightings([twin.sighting.id])
        assert not gallery.uses_chip(first.sighting.chip_sha256)
        assert gallery.get_sighting(first.sighting.id) is None
        assert gallery.counts() == GalleryCounts(1, 0)


class TestSearch:
    def test_vessels_are_ranked_by_their_best_sighting(self, gallery: Gallery) -> None:
        second = enrol(gallery, 0.7, 0.69, 0.68, 0.67)
        first = enrol(gallery, 0.2, 0.9)
        third = enrol(gallery, -0.5)
        hits = gallery.search(query(), SightingFilter(), 10)
        assert found(hits) == [first.id, second.id, third.id]
        assert [hit.vessel for hit in hits] == [first, second, third]
        got = [[h.similarity for h in hit.hits] for hit in hits]
        assert got[0] == pytest.approx([0.9, 0.2], abs=1e-5)
        assert got[1] == pytest.approx([0.7, 0.69, 0.68], abs=1e-5)
        assert got[2] == pytest.approx([-0.5], abs=1e-5)

    def test_results_are_limited_to_the_requested_numbers(self, gallery: Gallery) -> None:
        best = [enrol(gallery, s, s - 0.01) for s in (0.9, 0.8, 0.7, 0.6)]
        hits = gallery.search(query(), SightingFilter(), 2, sightings_per_vessel=1)
        assert found(hits) == [best[0].id, best[1].id]
        assert [len(hit.hits) for hit in hits] == [1, 1]

    def test_a_vessel_with_many_sightings_does_not_displace_others(self, gallery: Gallery) -> None:
        crowd = make_vessel()
        gallery.put_vessel(crowd)
        many = [embedded(0.99 - i / 10_000, crowd) for i in range(400)]
        gallery.put_sightings(many, crowd)
        others = [enrol(gallery, s) for s in (0.5, 0.4)]
        assert found(gallery.search(query(), SightingFilter(), 3)) == [
            crowd.id,
            *(v.id for v in others),
        ]

    def test_hidden_vessels_are_not_found_however_many(self, gallery: Gallery) -> None:
        for i in range(40):
            enrol(gallery, 0.99 - i / 1000, state=HIDDEN[i % len(HIDDEN)])
        visible = [enrol(gallery, s) for s in (0.5, 0.4, 0.3)]
        syncing = enrol(gallery, 0.6, state=VesselState.SYNCING)
        hits = gallery.search(query(), SightingFilter(), 3)
        assert found(hits) == [syncing.id, visible[0].id, visible[1].id]
        assert gallery.counts() == GalleryCounts(4, 4)

    def test_a_vessel_appears_with_the_write_that_makes_it_visible(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, 0.9, state=VesselState.ENROLLING)
        assert gallery.search(query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)
        gallery.put_vessel(vessel.model_copy(update={"state": VesselState.ACTIVE}))
        assert found(gallery.search(query(), SightingFilter(), 3)) == [vessel.id]
        assert gallery.counts() == GalleryCounts(1, 1)
        gallery.put_vessel(vessel.model_copy(update={"state": VesselState.DELETING}))
        assert gallery.search(query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)

    def test_an_empty_gallery_finds_no_vessel(self, gallery: Gallery) -> None:
        assert gallery.search(query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)
        gallery.ping()

    def test_a_query_of_another_width_is_rejected(self, gallery: Gallery) -> None:
        with pytest.raises(ValueError, match=r"width|numbers"):
            gallery.search(query()[:-1], SightingFilter(), 3)

    def test_similarity_is_the_cosine(self, gallery: Gallery) -> None:
        rng = np.random.default_rng(7)
        vectors = rng.normal(size=(50, WIDTH)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        expected = {}
        for vector in vectors:
            vessel = make_vessel()
            gallery.put_vessel(vessel)
            one = embedded(0.5, vessel)
            gallery.put_sightings([type(one)(one.sighting, vector)], vessel)
            expected[vessel.id] = float(vector @ vectors[0])
        hits = gallery.search(vectors[0], SightingFilter(), 50)
        assert len(hits) == 50
        for hit in hits:
            assert hit.hits[0].similarity == pytest.approx(expected[hit.vessel.id], abs=1e-5)
        assert all(-1 <= h.hits[0].similarity <= 1 for h in hits)


class TestFilters:
    def passing(self, gallery: Gallery, **where: object) -> set[object]:
        hits = gallery.search(query(), SightingFilter.model_validate(where), 20)
        return {hit.vessel.name for hit in hits}

    def put(self, gallery: Gallery, name: str, vessel: dict[str, object], **fields: Any) -> None:
        enrolled = make_vessel(name=name, **vessel)
        gallery.put_vessel(enrolled)
        gallery.put_sightings([embedded(0.5, enrolled, **fields)], enrolled)

    def test_modality_is_filtered(self, gallery: Gallery) -> None:
        self.put(gallery, "seen", {}, modality="optical")
        self.put(gallery, "heard", {}, modality="sar")
        assert self.passing(gallery, modality="sar") == {"heard"}
        assert self.passing(gallery) == {"seen", "heard"}

    def test_only_matching_sightings_of_a_vessel_are_returned(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        optical, sar = embedded(0.9, vessel), embedded(0.3, vessel, modality="sar")
        gallery.put_sightings([optical, sar], vessel)
        [hit] = gallery.search(query(), SightingFilter(modality=Modality.SAR), 5)
        assert [h.sighting.id for h in hit.hits] == [sar.sighting.id]

    def test_vessel_type_ignores_case(self, gallery: Gallery) -> None:
        self.put(gallery, "cargo", {"type": "Cargo"})
        self.put(gallery, "tanker", {"type": "TANKER"})
        self.put(gallery, "untyped", {})
        assert self.passing(gallery, vessel_types=["cargo"]) == {"cargo"}
        assert self.passing(gallery, vessel_types=["CARGO", "tanker"]) == {"cargo", "tanker"}
        assert self.passing(gallery, vessel_types=[]) == set()

    def test_length_range_is_closed_and_unknown_passes(self, gallery: Gallery) -> None:
        for length in (99.5, 100, 150, 200, 200.5):
            self.put(gallery, str(length), {"length_m": length})
        self.put(gallery, "unmeasured", {})
        got = self.passing(gallery, vessel_length_m=(100, 200))
        assert got == {"100", "150", "200", "unmeasured"}

    def test_time_range_is_closed_and_unknown_fails(self, gallery: Gallery) -> None:
        noon = START.replace(microsecond=500_001)
        tick = timedelta(microseconds=1)
        self.put(gallery, "before", {}, captured_at=noon - tick)
        self.put(gallery, "noon", {}, captured_at=noon)
        self.put(gallery, "after", {}, captured_at=noon + tick)
        self.put(gallery, "timeless", {})
        assert self.passing(gallery, captured_between=(noon, noon)) == {"noon"}
        assert self.passing(gallery, captured_between=(noon, None)) == {"noon", "after"}
        assert self.passing(gallery, captured_between=(None, noon)) == {"noon", "before"}
        everything = {"before", "noon", "after", "timeless"}
        assert self.passing(gallery, captured_between=(None, None)) == everything

    def test_times_of_other_zones_are_the_same_moments(self, gallery: Gallery) -> None:
        tokyo = START.astimezone(timezone(timedelta(hours=9)))
        self.put(gallery, "noon", {}, captured_at=tokyo)
        assert self.passing(gallery, captured_between=(START, START)) == {"noon"}
        assert self.passing(gallery, captured_between=(tokyo, tokyo)) == {"noon"}

    def test_radius_on_the_sphere_and_unknown_fails(self, gallery: Gallery) -> None:
        self.put(gallery, "here", {}, position=GeoPoint(lat=52.0, lon=4.0))
        self.put(gallery, "10 km", {}, position=GeoPoint(lat=52.09, lon=4.0))
        self.put(gallery, "antimeridian", {}, position=GeoPoint(lat=0.0, lon=-179.95))
        self.put(gallery, "nowhere", {})
        near = GeoRadius(centre=GeoPoint(lat=52.0, lon=4.0), radius_m=5_000)
        assert self.passing(gallery, within=near) == {"here"}
        wider = near.model_copy(update={"radius_m": 11_000})
        assert self.passing(gallery, within=wider) == {"here", "10 km"}
        across = GeoRadius(centre=GeoPoint(lat=0.0, lon=179.95), radius_m=12_000)
        assert self.passing(gallery, within=across) == {"antimeridian"}

    def test_filters_combine(self, gallery: Gallery) -> None:
        self.put(gallery, "both", {"type": "Cargo"}, modality="sar")
        self.put(gallery, "one", {"type": "Cargo"}, modality="optical")
        self.put(gallery, "other", {"type": "Tanker"}, modality="sar")
        got = self.passing(gallery, modality="sar", vessel_types=["cargo"])
        assert got == {"both"}

    def test_sync_copies_the_attributes_of_the_vessel(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, 0.9, 0.8, name="x", type="Cargo", length_m=100)
        other = enrol(gallery, 0.7, name="other", type="Cargo", length_m=100)
        changed = vessel.model_copy(update={"type": "Tanker", "length_m": None})
        gallery.put_vessel(changed)
        gallery.sync_vessel(changed)
        assert self.passing(gallery, vessel_types=["tanker"]) == {"x"}
        assert self.passing(gallery, vessel_types=["cargo"]) == {other.name}
        assert self.passing(gallery, vessel_length_m=(400, 500)) == {"x"}
        gallery.sync_vessel(changed.model_copy(update={"length_m": 50.0}))
        assert self.passing(gallery, vessel_length_m=(400, 500)) == set()


@pytest.mark.parametrize("gallery", [k for k in KINDS if k != "memory"], indirect=True)
def test_many_threads_can_read_and_write_at_once(gallery: Gallery) -> None:
    """Writers and readers run together; readers see complete vessels only.

    Not run on qdrant-client's local mode, which unlike a server is not made for threads.
    """
    errors: list[BaseException] = []

    def write(axis: int) -> None:
        for i in range(8):
            vessel = make_vessel(name=f"{axis}-{i}", state=VesselState.ENROLLING)
            gallery.put_vessel(vessel)
            batch = [embedded(0.5 + i / 100, vessel, axis=axis) for _ in range(3)]
            gallery.put_sightings(batch, vessel)
            gallery.put_vessel(vessel.model_copy(update={"state": VesselState.ACTIVE}))

    def read() -> None:
        for _ in range(15):
            for hit in gallery.search(tilted(0.9), SightingFilter(), 5):
                assert hit.vessel.state.visible
                assert len(hit.hits) == 3
            gallery.counts()

    def guarded(work: object, *args: int) -> None:
        try:
            work(*args)  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(write, axis)) for axis in range(1, 5)]
    threads += [threading.Thread(target=guarded, args=(read,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert gallery.counts() == GalleryCounts(32, 96)
