"""What the models see of a chip, and doing the same again from what was recorded."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from rasterio.warp import transform as reproject

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import NoShipError
from service.contract.framing.apply import frame, frame_again
from service.contract.framing.findings import Kind, Level
from service.contract.framing.records import Framing, FramingMode
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.scene_files import MADRID, empty_file, loose_file, two_ships_file

BOTH = pytest.mark.parametrize("modality", list(Modality))
TIGHT = {Modality.SAR: sar_tiff(1), Modality.OPTICAL: optical_png(1)}


def chip_of(data: bytes, modality: Modality) -> Chip:
    return decode_chip(data, modality=modality, gsd_m=2.0)


@BOTH
def test_a_loose_chip_becomes_the_ship_alone(modality: Modality) -> None:
    framed = frame(chip_of(loose_file(modality), modality), FramingMode.AUTO)
    assert framed.framing.method == "rotated"
    assert framed.framing.turned_deg == pytest.approx(-35.0, abs=3.0)
    assert framed.chip.length_m == pytest.approx(230.0, rel=0.08)
    assert framed.framing.length_m == pytest.approx(200.0, rel=0.08)
    assert framed.framing.removed_share > 0.8
    assert framed.chip.cut_out


@BOTH
def test_a_tight_chip_passes_bit_for_bit(modality: Modality) -> None:
    chip = chip_of(TIGHT[modality], modality)
    framed = frame(chip, FramingMode.AUTO)
    assert framed.chip is chip
    assert not framed.chip.cut_out
    assert framed.framing.method == "unchanged"


@BOTH
def test_as_is_judges_and_leaves_the_pixels(modality: Modality) -> None:
    chip = chip_of(two_ships_file(modality), modality)
    framed = frame(chip, FramingMode.AS_IS)
    assert framed.chip is chip
    assert framed.framing.method == "unchanged"
    assert framed.framing.removed_share == 0.0
    assert framed.framing.worst is Level.BAD
    assert framed.framing.worst_first()[0].kind is Kind.SEVERAL_SHIPS
    assert framed.framing.complaints(Level.BAD)[0].startswith("1 more ship(s)")


@BOTH
def test_a_chip_without_ship_is_refused_unless_taken_as_it_is(modality: Modality) -> None:
    chip = chip_of(empty_file(modality), modality)
    with pytest.raises(NoShipError, match="framing=as_is"):
        frame(chip, FramingMode.AUTO)
    framed = frame(chip, FramingMode.AS_IS)
    assert framed.chip is chip
    assert framed.framing.outline is None
    assert framed.framing.complaints(Level.BAD)[0].startswith("No ship was found")


@BOTH
@pytest.mark.parametrize("axis_deg", [0.0, 90.0, 35.0])
def test_framing_again_from_the_record_gives_the_same_pixels(
    modality: Modality, axis_deg: float
) -> None:
    chip = chip_of(loose_file(modality, axis_deg), modality)
    framed = frame(chip, FramingMode.AUTO)
    stored = Framing.model_validate_json(framed.framing.model_dump_json())
    again = frame_again(chip, stored)
    np.testing.assert_array_equal(again.pixels, framed.chip.pixels)
    assert again.position == framed.chip.position
    assert again.cut_out is framed.chip.cut_out is True


@BOTH
def test_a_lying_tight_chip_is_turned_again(modality: Modality) -> None:
    upright = chip_of(TIGHT[modality], modality)
    lying = replace(upright, pixels=np.ascontiguousarray(np.rot90(upright.pixels)))
    framed = frame(lying, FramingMode.AUTO)
    assert framed.framing.method == "quarter_turn"
    np.testing.assert_array_equal(frame_again(lying, framed.framing).pixels, framed.chip.pixels)


@BOTH
def test_heading_and_corners_are_those_of_the_map(modality: Modality) -> None:
    chip = decode_chip(loose_file(modality, 35.0, **MADRID), modality=modality)
    framed = frame(chip, FramingMode.AUTO).framing
    assert framed.outline is not None
    assert framed.corners_on_ground is not None
    # At the zone's west the grid's north lies 0.46 degrees west of true north.
    assert framed.outline.axis_deg == pytest.approx(35.0, abs=3.0)
    assert framed.heading_axis_deg == pytest.approx(framed.outline.axis_deg - 0.46, abs=0.05)
    lons = [corner.lon for corner in framed.corners_on_ground]
    lats = [corner.lat for corner in framed.corners_on_ground]
    for (x, y), east, north in zip(
        framed.outline.corners(), *reproject("EPSG:4326", "EPSG:32630", lons, lats), strict=True
    ):
        expected = MADRID["transform"] @ (x + 0.5, y + 0.5)
        assert (east, north) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(("across", "down"), [(1.0, 1.0), (0.8, 1.0), (1.0, -1.0), (1.0, -0.7)])
def test_corners_in_the_file_are_where_the_file_puts_them_on_the_map(
    across: float, down: float
) -> None:
    """Pixels that are not square are resampled, and rows that run to the north are reversed."""
    transform = MADRID["transform"] @ Affine.scale(across, down)
    data = loose_file(Modality.SAR, 35.0, crs=MADRID["crs"], transform=transform)
    framed = frame(decode_chip(data, modality=Modality.SAR), FramingMode.AUTO).framing
    assert framed.outline is not None
    assert framed.corners_on_ground is not None
    assert (framed.corners_in_file is None) == (across == down)
    lons = [corner.lon for corner in framed.corners_on_ground]
    lats = [corner.lat for corner in framed.corners_on_ground]
    for (x, y), east, north in zip(
        framed.corners_in_file or framed.outline.corners(),
        *reproject("EPSG:4326", "EPSG:32630", lons, lats),
        strict=True,
    ):
        assert (east, north) == pytest.approx(transform @ (x + 0.5, y + 0.5), abs=0.2)


def test_the_position_of_a_framed_chip_is_the_ships() -> None:
    chip = decode_chip(loose_file(Modality.SAR, 35.0, **MADRID), modality=Modality.SAR)
    framed = frame(chip, FramingMode.AUTO)
    assert framed.chip.position is not None
    corners = framed.framing.corners_on_ground
    assert corners is not None
    assert framed.chip.position.lat == pytest.approx(np.mean([c.lat for c in corners]), abs=1e-7)
    assert framed.chip.position.lon == pytest.approx(np.mean([c.lon for c in corners]), abs=1e-7)
