"""What every `Gallery` finds by search: the fake and each adapter."""

import threading
from typing import Any

import numpy as np
import pytest

from service.contract.chip import Modality
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import GalleryCounts, SightingFilter
from service.identity.records.vessels import VesselState
from tests.support.fakes.records import WIDTH, embedded, make_vessel, query, tilted
from tests.support.galleries import FoundVessel, enrol, search

HIDDEN = [state for state in VesselState if not state.visible]


def found(hits: list[FoundVessel]) -> list[object]:
    return [hit.vessel.id for hit in hits]


class TestSearch:
    def test_vessels_are_ranked_by_their_best_sighting(self, gallery: Gallery) -> None:
        second = enrol(gallery, 0.7, 0.69, 0.68, 0.67)
        first = enrol(gallery, 0.2, 0.9)
        third = enrol(gallery, -0.5)
        hits = search(gallery, query(), SightingFilter(), 10)
        assert found(hits) == [first.id, second.id, third.id]
        assert [hit.vessel for hit in hits] == [first, second, third]
        got = [[h.similarity for h in hit.hits] for hit in hits]
        assert got[0] == pytest.approx([0.9, 0.2], abs=1e-5)
        assert got[1] == pytest.approx([0.7, 0.69, 0.68], abs=1e-5)
        assert got[2] == pytest.approx([-0.5], abs=1e-5)

    def test_results_are_limited_to_the_requested_numbers(self, gallery: Gallery) -> None:
        best = [enrol(gallery, *(s - i / 100 for i in range(5))) for s in (0.9, 0.8, 0.7, 0.6)]
        hits = search(gallery, query(), SightingFilter(), 2)
        assert found(hits) == [best[0].id, best[1].id]
        assert [len(hit.hits) for hit in hits] == [3, 3]

    def test_a_vessel_with_many_sightings_does_not_displace_others(self, gallery: Gallery) -> None:
        crowd = make_vessel()
        gallery.put_vessel(crowd)
        many = [embedded(0.99 - i / 10_000, crowd) for i in range(400)]
        gallery.put_sightings(many, crowd)
        others = [enrol(gallery, s) for s in (0.5, 0.4)]
        assert found(search(gallery, query(), SightingFilter(), 3)) == [
            crowd.id,
            *(v.id for v in others),
        ]

    def test_hidden_vessels_are_not_found_however_many(self, gallery: Gallery) -> None:
        for i in range(40):
            enrol(gallery, 0.99 - i / 1000, state=HIDDEN[i % len(HIDDEN)])
        visible = [enrol(gallery, s) for s in (0.5, 0.4, 0.3)]
        syncing = enrol(gallery, 0.6, state=VesselState.SYNCING)
        hits = search(gallery, query(), SightingFilter(), 3)
        assert found(hits) == [syncing.id, visible[0].id, visible[1].id]
        assert gallery.counts() == GalleryCounts(4, 4)

    def test_a_vessel_appears_with_the_write_that_makes_it_visible(self, gallery: Gallery) -> None:
        vessel = enrol(gallery, 0.9, state=VesselState.ENROLLING)
        assert search(gallery, query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)
        gallery.put_vessel(vessel.model_copy(update={"state": VesselState.ACTIVE}))
        assert found(search(gallery, query(), SightingFilter(), 3)) == [vessel.id]
        assert gallery.counts() == GalleryCounts(1, 1)
        gallery.put_vessel(vessel.model_copy(update={"state": VesselState.DELETING}))
        assert search(gallery, query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)

    def test_an_empty_gallery_finds_no_vessel(self, gallery: Gallery) -> None:
        assert search(gallery, query(), SightingFilter(), 3) == []
        assert gallery.counts() == GalleryCounts(0, 0)
        gallery.ping()

    def test_a_query_of_another_width_is_rejected(self, gallery: Gallery) -> None:
        with pytest.raises(ValueError, match=r"width|numbers"):
            search(gallery, query()[:-1], SightingFilter(), 3)

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
        hits = search(gallery, vectors[0], SightingFilter(), 50)
        assert len(hits) == 50
        for hit in hits:
            assert hit.hits[0].similarity == pytest.approx(expected[hit.vessel.id], abs=1e-5)
        assert all(-1 <= h.hits[0].similarity <= 1 for h in hits)


class TestFilters:
    def passing(self, gallery: Gallery, **where: object) -> set[object]:
        hits = search(gallery, query(), SightingFilter.model_validate(where), 20)
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
        [hit] = search(gallery, query(), SightingFilter(modality=Modality.SAR), 5)
        assert [h.sighting.id for h in hit.hits] == [sar.sighting.id]

    def test_other_chips_leaves_these_chips_out(self, gallery: Gallery) -> None:
        vessel = make_vessel()
        gallery.put_vessel(vessel)
        own, copy, look = (embedded(cosine, vessel) for cosine in (0.9, 0.8, 0.3))
        gallery.put_sightings([own, copy, look], vessel)
        where = SightingFilter(other_chips=tuple(one.sighting.chip_sha256 for one in (own, copy)))
        [hit] = search(gallery, query(), where, 5)
        assert [h.sighting.id for h in hit.hits] == [look.sighting.id]
        none = where.model_copy(
            update={"other_chips": (*where.other_chips, look.sighting.chip_sha256)}
        )
        assert search(gallery, query(), none, 5) == []

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


def test_many_threads_can_read_and_write_at_once(gallery: Gallery) -> None:
    """Writers and readers run together; readers see complete vessels only."""
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
            for hit in search(gallery, tilted(0.9), SightingFilter(), 5):
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
