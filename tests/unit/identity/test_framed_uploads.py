"""Chips are framed before they are embedded, and what was done is kept with the sighting."""

from dataclasses import replace

import numpy as np
import pytest

from service.contract.chip import Modality
from service.contract.errors import NoShipError
from service.contract.framing.records import Framing, FramingMode
from service.identity.enrol import NewVessel
from service.identity.matching.match import MatchOptions
from service.identity.records.matches import Verdict
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipMetadata, ChipUpload, HalfTurns, UploadEmbedder
from tests.support.fakes.cache import FakeCache
from tests.support.fakes.decoder import LocalDecoder
from tests.support.fakes.embedder import FakeEmbedder
from tests.support.inputs.chips import sar_tiff
from tests.support.inputs.scene_files import MADRID, empty_file, loose_file, two_ships_file
from tests.support.use_cases import UseCases, fake_upload_embedder, sar, sar_look, utc_now

BOTH = pytest.mark.parametrize("modality", list(Modality))


def upload(data: bytes, modality: Modality, framing: FramingMode | None = None) -> ChipUpload:
    return ChipUpload(data, ChipMetadata(modality=modality, gsd_m=1.0, framing=framing), "chip")


@BOTH
def test_the_sighting_of_a_loose_chip_is_as_large_as_its_ship(modality: Modality) -> None:
    embedder = fake_upload_embedder()
    sighting = embedder.sighting(embedder.embed(upload(loose_file(modality), modality)), None)
    assert sighting.sighting.length_m == pytest.approx(115, abs=8)
    assert sighting.sighting.framing.method == "rotated"
    again = Sighting.model_validate_json(sighting.sighting.model_dump_json())
    assert again == sighting.sighting


def test_the_embedding_is_that_of_the_framed_pixels() -> None:
    embedder = fake_upload_embedder()
    framed = embedder.embed(upload(loose_file(Modality.SAR), Modality.SAR))
    as_is = embedder.embed(upload(loose_file(Modality.SAR), Modality.SAR, FramingMode.AS_IS))
    assert not np.allclose(framed.vector, as_is.vector)
    np.testing.assert_array_equal(framed.vector, FakeEmbedder().embed(framed.chip).vector)
    assert as_is.chip.pixels.shape == (200, 200)


def test_stating_the_default_is_the_same_question() -> None:
    unsaid = upload(sar_tiff(1), Modality.SAR)
    said = upload(sar_tiff(1), Modality.SAR, FramingMode.AUTO)
    as_is = upload(sar_tiff(1), Modality.SAR, FramingMode.AS_IS)
    assert unsaid.sighting_id(None) == said.sighting_id(None) != as_is.sighting_id(None)


@BOTH
def test_a_chip_without_ship_is_refused_by_name(use_cases: UseCases, modality: Modality) -> None:
    empty = upload(empty_file(modality), modality)
    with pytest.raises(NoShipError, match="chip: no ship was found"):
        use_cases.matcher.match(empty, MatchOptions())
    with pytest.raises(NoShipError):
        use_cases.enrolment.enrol(NewVessel(name="NOBODY"), [empty])
    assert use_cases.gallery.counts().vessels == 0
    as_is = upload(empty_file(modality), modality, FramingMode.AS_IS)
    answer = use_cases.matcher.match(as_is, MatchOptions()).match
    assert answer.query.defects


def test_a_bad_chip_gets_no_confident_verdict(use_cases: UseCases) -> None:
    use_cases.enrolment.enrol(NewVessel(name="KNOWN"), [sar(1)])
    look = sar_look(1)
    good = use_cases.matcher.match(look, MatchOptions()).match
    too_long = replace(look, metadata=ChipMetadata(modality=Modality.SAR, gsd_m=30.0))
    bad = use_cases.matcher.match(too_long, MatchOptions()).match
    assert good.verdict is Verdict.CONFIDENT
    assert bad.candidates[0].probability == good.candidates[0].probability
    assert bad.explanation is not None
    assert bad.explanation.text.startswith(bad.query.defects[0])
    assert "but the chip is bad" in bad.explanation.text
    assert bad.verdict is not Verdict.CONFIDENT


def test_enrolling_a_bad_chip_warns(use_cases: UseCases) -> None:
    bad = upload(two_ships_file(Modality.SAR), Modality.SAR)
    enrolled = use_cases.enrolment.enrol(NewVessel(name="TWO"), [bad])
    assert enrolled.warnings[0].startswith("chip: 1 more ship(s) may be in the chip")


def test_sending_a_chip_again_with_another_framing_warns(use_cases: UseCases) -> None:
    vessel = NewVessel(name="TIGHT")
    first = upload(sar_tiff(1), Modality.SAR)
    use_cases.enrolment.enrol(vessel, [first])
    again = use_cases.enrolment.enrol(
        vessel, [upload(sar_tiff(1), Modality.SAR, FramingMode.AS_IS)]
    )
    assert "framing stays auto, not as_is" in again.warnings[0]


def test_the_position_is_the_ships() -> None:
    embedder = fake_upload_embedder()
    data = loose_file(Modality.SAR, **MADRID)
    sighting = embedder.sighting(embedder.embed(upload(data, Modality.SAR)), None).sighting
    assert sighting.position is not None
    assert sighting.framing.corners_on_ground is not None


def test_every_framing_is_counted() -> None:
    counted: list[Framing] = []
    embedder = UploadEmbedder(
        FakeEmbedder(), FakeCache(), LocalDecoder(), utc_now, count=counted.append
    )
    for data in (sar_tiff(1), loose_file(Modality.SAR)):
        embedder.embed(upload(data, Modality.SAR))
    assert [one.method for one in counted] == ["unchanged", "rotated"]


@BOTH
def test_the_half_turn_of_a_stored_chip_is_read_only_if_the_cache_misses(
    modality: Modality,
) -> None:
    data, reads = loose_file(modality), list[bytes]()

    def read() -> bytes:
        reads.append(data)
        return data

    embedder = fake_upload_embedder()
    embedded = embedder.embed(upload(data, modality), HalfTurns.OPEN)
    sighting = embedder.sighting(embedded, None).sighting
    restored = Sighting.model_validate_json(sighting.model_dump_json())
    for one, misses in ((embedder, 0), (fake_upload_embedder(), 1)):
        turned = one.embed_half_turn(restored, read)
        assert turned is not None
        assert embedded.half_turned is not None
        np.testing.assert_array_equal(turned, embedded.half_turned)
        assert len(reads) == misses
