"""Re-embedding frames each chip as it was framed when it was sent."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.apply import frame
from service.contract.framing.records import FramingMode
from service.maintenance.reembed import Reembedding
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import embedded, make_vessel
from tests.support.inputs.scene_files import loose_file
from tests.support.stores import NEW, NEW_WIDTH, OLD, Site, embed


@pytest.mark.parametrize("mode", FramingMode)
def test_a_sighting_is_framed_again_as_it_was(
    site: Site, chips: FakeChipStore, mode: FramingMode
) -> None:
    data = loose_file(Modality.SAR)
    chip = decode_chip(data, modality=Modality.SAR)
    first = frame(chip, mode)
    vessel = make_vessel()
    gallery = site.service()
    gallery.put_vessel(vessel)
    digest = chips.put(data)
    sighting = embedded(
        0.5, vessel, modality=Modality.SAR, gsd_m=1.0, chip_sha256=digest, framing=first.framing
    )
    gallery.put_sightings([sighting], vessel)
    (stored,) = gallery.sightings_of([vessel.id])
    assert stored.framing == first.framing
    gallery.close()
    seen: list[NDArray[np.float32]] = []

    def embed_and_look(batch: Sequence[Chip]) -> list[NDArray[np.float32]]:
        seen.extend(chip.pixels for chip in batch)
        return embed(batch)

    archive = site.archive()
    archive.prepare(NEW, NEW_WIDTH)
    task = Reembedding(archive, chips, embed_and_look, OLD, NEW)
    task.embed(task.missing())
    archive.close()
    (pixels,) = seen
    np.testing.assert_array_equal(pixels, first.chip.pixels)
    assert (pixels.shape == (200, 200)) is (mode is not FramingMode.AUTO)
