"""Chips of many vessels are enrolled as single requests would, each refused for itself."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.access.caller import Caller, called_by
from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.errors import UnsupportedFormatError
from service.contract.framing.apply import FramedChip
from service.identity import bulk
from service.identity.bulk import BulkChip, BulkEnrolment, BulkOutcome
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError, StoreFullError
from service.identity.records.sightings import EmbeddedSighting
from service.identity.records.vessels import Vessel
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.fakes.audit import FakeAuditLog
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import UseCases, build_use_cases, optical, sar

STAR = NewVessel(name="EXAMPLE STAR", imo="9074729")
TWIN = NewVessel(name="TWIN", id=UUID(int=7))
BAD = ChipUpload(b"not a chip", name="bad.tif")


def bulk_of(use_cases: UseCases) -> BulkEnrolment:
    return BulkEnrolment(use_cases.context, use_cases.enrolment, use_cases.upload_embedder)


def enrol(
    use_cases: UseCases, *chips: tuple[NewVessel | UUID, ChipUpload]
) -> dict[int, BulkOutcome]:
    """Enrol chips numbered from 1 on; return what became of each, in the order of the outcomes."""
    numbered = [BulkChip(number, *one) for number, one in enumerate(chips, 1)]
    return {one.number: one for one in bulk_of(use_cases).enrol(numbered)}


def test_vessels_and_sightings_are_those_of_single_enrolments() -> None:
    single = build_use_cases(FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())
    star = single.enrolment.enrol(STAR, [optical(1), sar(2)])
    twin = single.enrolment.enrol(TWIN, [optical(3)])
    many = build_use_cases(FakeGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())
    done = enrol(many, (STAR, optical(1)), (TWIN, optical(3)), (STAR, sar(2)))
    assert list(done) == [1, 3, 2], "vessel by vessel, in the order of their first chips"
    assert all(one.added and one.created for one in done.values())
    for vessel in (star.vessel, twin.vessel):
        found = many.gallery.get_vessels([vessel.id])[vessel.id]
        assert found.attributes() == vessel.attributes()
        ids = [{s.id for s in one.gallery.sightings_of([vessel.id])} for one in (single, many)]
        assert ids[0] == ids[1]
    assert many.chips.data == single.chips.data
    assert [one.sighting and one.sighting.vessel_id for one in done.values()] == [
        star.vessel.id,
        star.vessel.id,
        twin.vessel.id,
    ]


def test_sending_again_changes_nothing(use_cases: UseCases) -> None:
    chips = [(STAR, optical(1)), (TWIN, optical(3)), (STAR, sar(2))]
    first = enrol(use_cases, *chips)
    again = enrol(use_cases, *chips)
    assert not any(one.added or one.created or one.problem for one in again.values())
    assert [one.sighting for one in again.values()] == [one.sighting for one in first.values()]


def test_a_refused_chip_keeps_no_other_out(use_cases: UseCases) -> None:
    done = enrol(use_cases, (STAR, optical(1)), (STAR, BAD), (STAR, sar(2)), (TWIN, BAD))
    assert [one.added for one in done.values()] == [True, False, True, False]
    assert isinstance(done[2].problem, UnsupportedFormatError)
    assert "bad.tif" in str(done[2].problem)
    assert isinstance(done[4].problem, UnsupportedFormatError)
    assert use_cases.gallery.counts().vessels == 1, "a vessel without a chip is not registered"


def test_a_vessel_that_cannot_be_registered_is_refused_before_its_chips_are_embedded(
    use_cases: UseCases,
) -> None:
    known = use_cases.enrolment.enrol(STAR, [optical(1)]).vessel
    embedded = use_cases.embedder.calls
    other = NewVessel(name="OTHER", imo=STAR.imo)
    done = enrol(use_cases, (other, optical(2)), (other, optical(3)), (uuid4(), optical(4)))
    for number in (1, 2):
        problem = done[number].problem
        assert isinstance(problem, ConflictError)
        assert problem.vessel_id == known.id
    assert isinstance(done[3].problem, NotFoundError)
    assert use_cases.embedder.calls == embedded


def test_chips_are_added_to_a_registered_vessel(use_cases: UseCases) -> None:
    vessel = use_cases.enrolment.enrol(STAR, [optical(1)]).vessel
    done = enrol(use_cases, (vessel.id, optical(1)), (vessel.id, sar(2)))
    assert [(one.added, one.created) for one in done.values()] == [(False, False), (True, False)]
    assert len(use_cases.gallery.sightings_of([vessel.id])) == 2


def test_one_chip_under_two_names_is_stored_once(use_cases: UseCases) -> None:
    same = ChipUpload(optical(1).data, name="again.png")
    done = enrol(use_cases, (STAR, optical(1)), (STAR, same))
    assert [one.added for one in done.values()] == [True, False]
    assert done[1].sighting == done[2].sighting


def test_warnings_belong_to_their_chips(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(STAR, [optical(1)])
    done = enrol(use_cases, (TWIN, optical(1)), (TWIN, optical(2)))
    assert "enrolled for vessel" in done[1].warnings[0]
    assert not any("enrolled for vessel" in text for text in done[2].warnings)


def test_what_was_assumed_of_a_chip_is_said_when_it_is_enrolled(use_cases: UseCases) -> None:
    stated = replace(optical(2), metadata=ChipMetadata(modality=Modality.OPTICAL, gsd_m=0.75))
    done = enrol(use_cases, (STAR, optical(1)), (STAR, stated))
    [assumed] = done[1].warnings
    assert "0.75 m per pixel was assumed" in assumed
    assert done[2].warnings == ()
    again = enrol(use_cases, (STAR, optical(1)))
    assert again[1].warnings == ()


def test_a_deleted_vessel_that_is_registered_anew_is_named_once(use_cases: UseCases) -> None:
    enrol(use_cases, (TWIN, optical(1)))
    use_cases.curation.delete(UUID(int=7))
    done = enrol(use_cases, (TWIN, optical(2)), (TWIN, optical(3)))
    assert "was deleted on" in done[1].warnings[0]
    assert not any("was deleted on" in text for text in done[2].warnings)


def test_a_vessel_of_many_chips_is_acknowledged_in_parts(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHIPS_STORED_TOGETHER", 2)
    chips = [BulkChip(number, STAR, optical(number)) for number in range(1, 6)]
    outcomes = bulk_of(use_cases).enrol(chips)
    stored = []
    for one in outcomes:
        assert one.sighting is not None
        stored.append(len(use_cases.gallery.sightings_of([one.sighting.vessel_id])))  # type: ignore[list-item]
    assert stored == [2, 2, 4, 4, 5]


def test_nothing_more_is_stored_when_nobody_asks(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHIPS_AHEAD", 2)
    vessels = [NewVessel(name=f"HULL {number}") for number in range(1, 20)]
    outcomes = bulk_of(use_cases).enrol(
        BulkChip(number, vessel, optical(number)) for number, vessel in enumerate(vessels)
    )
    assert isinstance(outcomes, Iterator)
    assert next(outcomes).added
    outcomes.close()  # type: ignore[attr-defined]
    assert use_cases.gallery.counts().vessels == 1
    assert use_cases.embedder.calls <= 3


class FullOnceGallery(FakeGallery):
    """Has no room for the sightings of one vessel."""

    def put_sightings(self, sightings: Sequence[EmbeddedSighting], vessel: Vessel | None) -> None:
        if vessel is not None and vessel.name == STAR.name:
            raise StoreFullError("the disk is full")
        super().put_sightings(sightings, vessel)


def test_a_store_that_fails_refuses_the_chips_that_it_did_not_take() -> None:
    use_cases = build_use_cases(FullOnceGallery(FakeEmbedder.bundle_id, WIDTH), FakeChipStore())
    done = enrol(use_cases, (STAR, optical(1)), (STAR, BAD), (TWIN, optical(2)))
    assert isinstance(done[1].problem, StoreFullError)
    assert isinstance(done[2].problem, UnsupportedFormatError)
    assert done[3].added


class Counting(FakeEmbedder):
    """Notes how many chips it embeds at once; refuses groups with a chip of one digest."""

    def __init__(self, refused: str = "") -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.refused = refused

    def embed_all(
        self, chips: Sequence[Chip], meanwhile: Callable[[], None] | None = None
    ) -> list[EmbeddedChip]:
        if self.refused in [chip.digest for chip in chips]:
            raise ValueError("the embedding is not finite")
        self.sizes.append(len(chips))
        return super().embed_all(chips, meanwhile)


class Together(LocalDecoder):
    """Decodes when so many chips are there; what cannot be decoded is refused after the others."""

    def __init__(self, chips: int) -> None:
        super().__init__()
        self.together = threading.Barrier(chips)

    def frame(self, data: bytes, *args: Any, **facts: Any) -> FramedChip:
        self.together.wait(20)
        if data == BAD.data:
            time.sleep(0.2)
        return super().frame(data, *args, **facts)


def enrol_at_once(
    use_cases: UseCases, embedder: FakeEmbedder, *uploads: ChipUpload
) -> dict[int, BulkOutcome]:
    """Enrol chips of different vessels, all of which are decoded at the same time."""
    use_cases.upload_embedder._embedder = embedder
    use_cases.upload_embedder._decoder = Together(len(uploads))
    return enrol(use_cases, *((NewVessel(name=f"HULL {n}"), one) for n, one in enumerate(uploads)))


def test_chips_are_decoded_and_embedded_together_and_audited_for_their_caller() -> None:
    log = FakeAuditLog()
    gallery = FakeGallery(FakeEmbedder.bundle_id, WIDTH)
    use_cases = build_use_cases(gallery, FakeChipStore(), audit=log)
    embedder = Counting()
    with called_by(lambda: Caller("curator", "request-1")):
        done = enrol_at_once(use_cases, embedder, *map(optical, range(4)))
    assert all(one.added for one in done.values())
    assert embedder.sizes == [4]
    changes = [entry for entry in log.entries if entry["action"] == "enrol"]
    assert len(changes) == 8
    assert {(entry["who"], entry["request_id"]) for entry in changes} == {("curator", "request-1")}


def test_chips_of_each_sensor_fill_batches(use_cases: UseCases) -> None:
    embedder = Counting()
    together = bulk.CHIPS_EMBEDDED_TOGETHER
    chips = [*map(optical, range(together + 2)), *map(sar, range(100, 103))]
    done = enrol_at_once(use_cases, embedder, *chips)
    assert all(one.added for one in done.values())
    assert sorted(embedder.sizes) == [2, 3, together]


def test_a_chip_that_is_refused_late_holds_up_no_other(use_cases: UseCases) -> None:
    embedder = Counting()
    done = enrol_at_once(use_cases, embedder, optical(1), BAD, optical(2))
    assert [one.added for one in done.values()] == [True, False, True]
    assert embedder.sizes == [2]


def test_a_chip_that_cannot_be_embedded_keeps_no_other_out(use_cases: UseCases) -> None:
    embedder = Counting(refused=optical(2).digest)
    done = enrol_at_once(use_cases, embedder, optical(1), optical(2), optical(3))
    assert [one.added for one in done.values()] == [True, False, True]
    assert isinstance(done[2].problem, ValueError)
