"""What every `Gallery` does with vessels and sightings: the fake and each adapter."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from service.contract.chip import Modality
from service.identity.errors import InvalidRequestError
from service.identity.ports.gallery import Gallery
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import EmbeddedSighting, GalleryCounts, SightingFilter
from service.identity.records.vessels import VesselFilter, VesselState
from tests.support.fakes.records import (
    START,
    WIDTH,
    embedded,
    make_sighting,
    make_vessel,
    query,
    uuid_between,
)
from tests.support.galleries import GALLERY_KINDS, enrol, search

SHARED_KINDS = [kind for kind in GALLERY_KINDS if kind != "edge"]
"""Those that several processes may use; a single process does not lose its claims."""

HIDDEN = [state for state in VesselState if not state.visible]


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

    @pytest.mark.parametrize("gallery", SHARED_KINDS, indirect=True)
    def test_a_fenced_vessel_is_replaced_by_the_holder_of_its_fence_alone(
        self, gallery: Gallery
    ) -> None:
        first, second = uuid4(), uuid4()
        pending = make_vessel(state=VesselState.ENROLLING)
        active = pending.model_copy(update={"state": VesselState.ACTIVE})
        gallery.put_fenced(active, first)
        assert gallery.get_vessels([pending.id]) == {}
        gallery.put_vessel(pending, first)
        gallery.put_fenced(active, second)
        assert gallery.get_vessels([pending.id]) == {pending.id: pending}
        gallery.take_over(pending.id, second)
        gallery.put_fenced(active, first)
        assert gallery.get_vessels([pending.id]) == {pending.id: pending}
        gallery.put_fenced(active, second)
        assert gallery.get_vessels([pending.id]) == {pending.id: active}
        gallery.take_over(pending.id, first)
        gallery.put_fenced(pending, first)
        assert gallery.get_vessels([pending.id]) == {pending.id: active}, "it is enrolled"

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
        assert search(gallery, query(), SightingFilter(), 5) == []
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

    def test_a_cursor_of_another_filter_is_rejected(self, gallery: Gallery) -> None:
        """Its page would begin in the middle of the list, without a sign of it."""
        for name in ("a", "b"):
            gallery.put_vessel(make_vessel(name=name))
        cursor = gallery.list_vessels(VesselFilter(), 1, None).next_cursor
        for other in (VesselFilter(name="a"), VesselFilter(type="cargo")):
            with pytest.raises(InvalidRequestError):
                gallery.list_vessels(other, 1, cursor)


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

    def test_positions_and_lengths_of_many_digits_are_intact(self, gallery: Gallery) -> None:
        """Qdrant parses some numbers of 17 digits as their neighbours; that is no damage."""
        dice = np.random.default_rng(0)
        vessel = make_vessel(length_m=1.2 + 0.3 * 599)
        gallery.put_vessel(vessel)
        places = [GeoPoint(lat=lat, lon=2 * lon) for lat, lon in dice.uniform(-90, 90, (200, 2))]
        batch = [embedded(0.5, vessel, position=place) for place in places]
        gallery.put_sightings(batch, vessel)
        read = {one.id: one.position for one in gallery.sightings_of([vessel.id])}
        assert read == {one.sighting.id: one.sighting.position for one in batch}

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
        assert search(gallery, query(), SightingFilter(), 5) == []
        assert gallery.counts() == GalleryCounts(0, 0)

    def test_moving_an_open_sighting_assigns_it(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, type="Tanker")
        one = embedded(0.9)
        gallery.put_sightings([one], None)
        gallery.move_sightings([one.sighting.id], vessel)
        [hit] = search(gallery, query(), SightingFilter(vessel_types=("tanker",)), 5)
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
        assert search(gallery, query(), SightingFilter(), 5) == []
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
        [hit] = search(gallery, query(), everything, 5)
        assert hit.vessel == b
        assert [h.similarity for h in hit.hits] == pytest.approx([0.9, 0.8, 0.1], abs=1e-5)
        assert gallery.counts() == GalleryCounts(2, 3)

    def test_moving_records_the_origin_until_it_is_moved_again(self, gallery: Gallery) -> None:
        a, b = enrol(gallery, 0.9), enrol(gallery, 0.1)
        [one] = gallery.sightings_of([a.id])
        assert one.origin_vessel_id is None
        gallery.move_sightings([one.id], b, a.id)
        moved = one.model_copy(update={"vessel_id": b.id, "origin_vessel_id": a.id})
        assert gallery.get_sighting(one.id) == moved
        gallery.sync_vessel(b)
        assert gallery.get_sighting(one.id) == moved
        gallery.move_sightings([one.id], None, a.id)
        assert gallery.get_sighting(one.id) == moved.model_copy(update={"vessel_id": None})
        gallery.move_sightings([one.id], a)
        assert gallery.get_sighting(one.id) == one

    def test_a_chip_is_in_use_until_its_last_sighting_is_deleted(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        first = embedded(0.9, vessel)
        twin = embedded(0.8, vessel, chip_sha256=first.sighting.chip_sha256)
        gallery.put_sightings([first, twin], vessel)
        gallery.delete_sightings([first.sighting.id, uuid4()])
        assert gallery.uses_chip(first.sighting.chip_sha256)
        waiting = embedded(0.7)
        gallery.put_open_sightings([waiting])
        used = {first.sighting.chip_sha256, waiting.sighting.chip_sha256}
        assert gallery.unused_chips([*used, "0" * 64]) == {"0" * 64}
        gallery.delete_open_sightings([waiting.sighting.id])
        assert gallery.unused_chips(used) == {waiting.sighting.chip_sha256}
        gallery.delete_sightings([twin.sighting.id])
        gallery.delete_sightings([twin.sighting.id])
        assert not gallery.uses_chip(first.sighting.chip_sha256)
        assert gallery.get_sighting(first.sighting.id) is None
        assert gallery.counts() == GalleryCounts(1, 0)
