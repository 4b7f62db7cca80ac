from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from service.contract.errors import ChipError
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.records.sightings import EmbeddedSighting
from service.identity.records.vessels import Vessel, VesselFilter, VesselState
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.inputs.chips import optical_png
from tests.support.use_cases import UseCases, build_use_cases, optical, sar

STAR = NewVessel(name="EXAMPLE STAR", imo="9074729", type="bulk carrier", length_m=190)


def test_a_vessel_is_registered_with_its_chips(use_cases: UseCases) -> None:
    done = use_cases.enrolment.enrol(STAR, [optical(1), optical(2)])
    assert done.created
    assert done.vessel.state is VesselState.ACTIVE
    assert {s.chip_sha256 for s in done.sightings} == set(use_cases.chips.data)
    assert all(s.vessel_id == done.vessel.id for s in done.sightings)
    assert done.vessel.provenance["imo"].source == "api"
    assert use_cases.gallery.counts().sightings == 2


def test_a_chip_that_another_vessel_has_warns(use_cases: UseCases) -> None:
    first = use_cases.enrolment.enrol(NewVessel(name="FIRST"), [optical(1), sar(2)])
    assert not any("enrolled for" in text for s in first.sightings for text in s.warnings)
    second = use_cases.enrolment.enrol(NewVessel(name="SECOND"), [optical(1), optical(3)])
    by_chip = {s.chip_sha256: s.warnings for s in second.sightings}
    assert f"enrolled for vessel {first.vessel.id} (FIRST)" in by_chip[optical(1).digest][-1]
    assert not any("enrolled for" in text for text in by_chip[optical(3).digest])
    added = use_cases.enrolment.add_chips(second.vessel.id, [sar(2)])
    assert "one of the vessels is wrong" in added.sightings[-1].warnings[-1]


def test_facts_that_a_known_chip_does_not_take_on_are_named(use_cases: UseCases) -> None:
    first = ChipMetadata(sensor="S-1", lat=1.0, lon=2.0, captured_at="2026-03-05T10:00:00Z")
    vessel = use_cases.enrolment.enrol(STAR, [ChipUpload(optical_png(1), first)]).vessel
    same = use_cases.enrolment.add_chips(vessel.id, [ChipUpload(optical_png(1), first)])
    assert (same.stored.added, same.warnings) == (frozenset(), ())
    other = ChipMetadata(sensor="S-2", gsd_m=2.0, captured_at="2026-03-05")
    again = use_cases.enrolment.add_chips(vessel.id, [ChipUpload(optical_png(1), other), sar(2)])
    assert again.stored.added == {sar(2).digest}
    [warning] = again.warnings
    assert "sensor stays S-1, not S-2" in warning
    assert "gsd_m stays 0.75, not 2.0" in warning
    assert "captured_at stays 2026-03-05T10:00:00Z, not 2026-03-05T00:00:00Z" in warning
    assert "position" not in warning
    assert again.sightings[0] == same.sightings[0]


def test_a_repeated_request_changes_nothing(use_cases: UseCases) -> None:
    first = use_cases.enrolment.enrol(STAR, [optical(1)])
    again = use_cases.enrolment.enrol(STAR, [optical(1)])
    assert not again.created
    assert again.vessel == first.vessel
    assert again.sightings == first.sightings


def test_requests_with_the_same_chosen_id_add_chips(use_cases: UseCases) -> None:
    chosen = STAR.model_copy(update={"id": uuid4()})
    use_cases.enrolment.enrol(chosen, [optical(1)])
    more = use_cases.enrolment.enrol(chosen, [optical(1), optical(2)])
    assert more.vessel.id == chosen.id
    assert len(more.sightings) == 2


def test_a_second_vessel_with_the_same_imo_is_rejected_naming_the_first(
    use_cases: UseCases,
) -> None:
    first = use_cases.enrolment.enrol(STAR, [optical(1)])
    with pytest.raises(ConflictError, match=str(first.vessel.id)) as rejected:
        use_cases.enrolment.enrol(NewVessel(name="OTHER", imo="IMO 9074729"), [optical(2)])
    assert rejected.value.vessel_id == first.vessel.id
    assert use_cases.gallery.counts().vessels == 1
    assert len(use_cases.chips.data) == 1


def test_a_taken_id_with_other_attributes_is_rejected(use_cases: UseCases) -> None:
    chosen = STAR.model_copy(update={"id": uuid4()})
    use_cases.enrolment.enrol(chosen, [optical(1)])
    with pytest.raises(ConflictError, match="PATCH"):
        use_cases.enrolment.enrol(chosen.model_copy(update={"name": "OTHER"}), [optical(1)])


def test_one_bad_chip_rejects_the_whole_request(use_cases: UseCases) -> None:
    with pytest.raises(ChipError):
        use_cases.enrolment.enrol(STAR, [optical(1), ChipUpload(b"not a chip")])
    assert use_cases.gallery.counts().vessels == 0
    assert use_cases.chips.data == {}


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_no_chip_or_the_same_chip_twice_is_rejected(use_cases: UseCases, seeds: list[int]) -> None:
    with pytest.raises(InvalidRequestError):
        use_cases.enrolment.enrol(STAR, [optical(seed) for seed in seeds])


def test_a_chip_is_added_to_a_vessel_only_once(use_cases: UseCases) -> None:
    vessel = use_cases.enrolment.enrol(STAR, [optical(1)]).vessel
    use_cases.enrolment.add_chips(vessel.id, [sar(5)])
    done = use_cases.enrolment.add_chips(vessel.id, [sar(5)])
    assert len(done.sightings) == 2


def test_chips_cannot_be_added_to_an_unknown_vessel(use_cases: UseCases) -> None:
    with pytest.raises(NotFoundError):
        use_cases.enrolment.add_chips(uuid4(), [optical(1)])
    assert use_cases.embedder.calls == 0


class PowerCutError(RuntimeError):
    """The process was killed."""


class CrashingGallery(FakeGallery):
    """Raises PowerCutError instead of the write after `writes`."""

    def __init__(self, writes: int) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self.writes_left = writes

    def _write(self) -> None:
        if self.writes_left == 0:
            raise PowerCutError
        self.writes_left -= 1

    def put_vessel(self, vessel: Vessel, fence: UUID | None = None) -> None:
        self._write()
        super().put_vessel(vessel, fence)

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        self._write()
        super().put_sightings(sightings, vessel)

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        self._write()
        super().move_sightings(ids, vessel, origin)

    def delete_sightings(self, ids: Sequence[UUID]) -> None:  # type: ignore[override]
        self._write()
        super().delete_sightings(ids)

    def delete_vessel(self, vessel_id: UUID) -> None:
        self._write()
        super().delete_vessel(vessel_id)


def visible(use_cases: UseCases) -> dict[UUID, int]:
    """Return the visible vessels and the number of their sightings."""
    page = use_cases.gallery.list_vessels(VesselFilter(), 100, None)
    return {v.id: len(use_cases.gallery.sightings_of([v.id])) for v in page.vessels}


@pytest.mark.parametrize("writes", range(4))
def test_an_interrupted_enrolment_leaves_all_or_nothing(writes: int) -> None:
    gallery = CrashingGallery(writes)
    use_cases = build_use_cases(gallery, FakeChipStore())
    if writes < 3:
        with pytest.raises(PowerCutError):
            use_cases.enrolment.enrol(STAR, [optical(1), optical(2)])
        assert visible(use_cases) == {}
    else:
        use_cases.enrolment.enrol(STAR, [optical(1), optical(2)])
    gallery.writes_left = 100
    use_cases.recovery.run()
    assert list(visible(use_cases).values()) == ([2] if writes == 3 else [])
    assert len(use_cases.chips.data) == (2 if writes == 3 else 0)
    assert len(use_cases.enrolment.enrol(STAR, [optical(1), optical(2)]).sightings) == 2


@pytest.mark.parametrize("writes", range(8))
def test_an_interrupted_merge_loses_no_sighting(writes: int) -> None:
    gallery = CrashingGallery(100)
    use_cases = build_use_cases(gallery, FakeChipStore())
    a = use_cases.enrolment.enrol(STAR, [optical(1), optical(2)]).vessel
    b = use_cases.enrolment.enrol(NewVessel(name="TWIN"), [optical(2), optical(3)]).vessel
    gallery.writes_left = writes
    try:
        use_cases.curation.merge(a.id, b.id)
    except PowerCutError:
        assert writes < 7
    gallery.writes_left = 100
    use_cases.recovery.run()
    assert visible(use_cases) in ({a.id: 3}, {a.id: 2, b.id: 2})
    assert use_cases.recovery.run() == 0


@pytest.mark.parametrize("writes", range(4))
def test_an_interrupted_split_loses_no_sighting(writes: int) -> None:
    gallery = CrashingGallery(100)
    use_cases = build_use_cases(gallery, FakeChipStore())
    done = use_cases.enrolment.enrol(STAR, [optical(1), optical(2), optical(3)])
    gallery.writes_left = writes
    try:
        use_cases.curation.split(done.vessel.id, [done.sightings[0].id], VesselPatch(name="OTHER"))
    except PowerCutError:
        assert writes < 3
    gallery.writes_left = 100
    use_cases.recovery.run()
    assert sorted(visible(use_cases).values()) == ([1, 2] if writes == 3 else [3])


@pytest.mark.parametrize("writes", range(6))
def test_an_interrupted_deletion_is_finished_or_was_never_begun(writes: int) -> None:
    gallery = CrashingGallery(100)
    use_cases = build_use_cases(gallery, FakeChipStore())
    done = use_cases.enrolment.enrol(STAR, [optical(1)])
    gallery.writes_left = writes
    try:
        use_cases.curation.delete(done.vessel.id)
    except PowerCutError:
        assert writes < 4
    gallery.writes_left = 100
    use_cases.recovery.run()
    assert visible(use_cases) == ({done.vessel.id: 1} if writes == 0 else {})
    assert use_cases.curation.restore(done.vessel.id).sightings == done.sightings
    assert len(use_cases.chips.data) == 1


@pytest.mark.parametrize("writes", range(4))
def test_an_interrupted_registration_of_a_deleted_vessel_loses_nothing_of_it(writes: int) -> None:
    gallery = CrashingGallery(100)
    use_cases = build_use_cases(gallery, FakeChipStore())
    done = use_cases.enrolment.enrol(STAR, [optical(1), optical(2)])
    use_cases.curation.delete(done.vessel.id)
    gallery.writes_left = writes
    again = NewVessel(id=done.vessel.id, name="AGAIN")
    try:
        use_cases.enrolment.enrol(again, [optical(1), optical(3)])
    except PowerCutError:
        assert writes < 3
    gallery.writes_left = 100
    use_cases.recovery.run()
    restored = use_cases.curation.restore(done.vessel.id)
    if writes == 3:
        assert restored.vessel.name == "AGAIN"
        return
    assert restored.vessel.attributes() == done.vessel.attributes()
    assert {s.id for s in restored.sightings} == {s.id for s in done.sightings}
    assert set(use_cases.chips.data) == {s.chip_sha256 for s in done.sightings}


@pytest.mark.parametrize("writes", range(6))
def test_an_interrupted_restoration_is_finished_or_was_never_begun(writes: int) -> None:
    gallery = CrashingGallery(100)
    use_cases = build_use_cases(gallery, FakeChipStore())
    vessel = use_cases.enrolment.enrol(STAR, [optical(1)]).vessel
    use_cases.curation.delete(vessel.id)
    gallery.writes_left = writes
    try:
        use_cases.curation.restore(vessel.id)
    except PowerCutError:
        assert writes < 4
    gallery.writes_left = 100
    use_cases.recovery.run()
    assert visible(use_cases) == ({} if writes == 0 else {vessel.id: 1})
    assert use_cases.recovery.run() == 0
