"""Each kind of finding, on a chip made for it."""

import numpy as np
import pytest
from scipy import ndimage

from service.contract.chip import Modality
from service.contract.framing.findings import Finding, Kind, Level
from service.contract.framing.frame import frame_chip
from service.contract.framing.records import FramedPixels
from tests.support.inputs.scenes import add_ship, empty_sea, hull_mask, ship_scene

BOTH = pytest.mark.parametrize("modality", list(Modality))


def finding(framed: FramedPixels, kind: Kind) -> Finding:
    """The finding of one kind."""
    return next(one for one in framed.framing.findings if one.kind is kind)


def level(framed: FramedPixels, kind: Kind) -> Level:
    """Level of one kind."""
    return finding(framed, kind).level


def said(framed: FramedPixels, kind: Kind) -> str:
    """Sentence of one kind."""
    return framed.framing.sentence(finding(framed, kind))


@BOTH
def test_a_good_chip_has_no_finding(modality: Modality) -> None:
    framed = frame_chip(ship_scene(modality, 35.0), modality, 1.5)
    assert framed.framing.worst is Level.OK
    assert [finding.kind for finding in framed.framing.findings] == list(Kind)


@BOTH
def test_empty_sea_is_no_ship(modality: Modality) -> None:
    framed = frame_chip(empty_sea(modality), modality, 1.0)
    assert level(framed, Kind.NO_SHIP) is Level.BAD
    assert said(framed, Kind.NO_SHIP).startswith("No ship was found")


@BOTH
def test_land_alone_is_no_ship(modality: Modality) -> None:
    rng = np.random.default_rng(2)
    patches = ndimage.gaussian_filter(rng.standard_normal((120, 120)), 4.0)
    patches /= patches.std()
    if modality is Modality.SAR:
        land = np.exp(0.6 * patches) * rng.rayleigh(1.0, patches.shape)
        chip = land.astype(np.float32)
    else:
        grain = 120 + 30 * patches[..., None] + rng.normal(0, 15, (120, 120, 3))
        chip = np.clip(grain, 0, 255).astype(np.uint8)
    framed = frame_chip(chip, modality, 3.0)
    assert framed.framing.worst is Level.BAD


@BOTH
def test_two_equal_ships_are_told(modality: Modality) -> None:
    scene = add_ship(empty_sea(modality), 20.0, 80.0, 15.0, (100.0, 60.0))
    scene = add_ship(scene, 20.0, 80.0, 15.0, (100.0, 140.0), seed=7)
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.SEVERAL_SHIPS) is Level.BAD
    assert finding(framed, Kind.SEVERAL_SHIPS).value == 1.0


@BOTH
def test_a_smaller_neighbour_is_doubtful_and_the_middle_ship_is_taken(modality: Modality) -> None:
    scene = add_ship(ship_scene(modality, 20.0), 110.0, 50.0, 11.0, (165.0, 160.0))
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.SEVERAL_SHIPS) is Level.DOUBTFUL
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


@BOTH
def test_half_a_ship_at_the_border_is_cut_off(modality: Modality) -> None:
    scene = add_ship(empty_sea(modality), 0.0, 100.0, 22.0, (0.0, 110.0))
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.CUT_OFF) is Level.BAD


@BOTH
def test_half_of_a_tight_chip_is_cut_off(modality: Modality) -> None:
    chip = add_ship(empty_sea(modality, (120, 28)), 0.0, 104.0, 20.0)[:60]
    framed = frame_chip(np.ascontiguousarray(chip), modality, 1.0)
    assert level(framed, Kind.CUT_OFF) is Level.BAD


@BOTH
def test_quay_beside_the_hull_is_told(modality: Modality) -> None:
    scene = ship_scene(modality, 0.0)
    rng = np.random.default_rng(4)
    if modality is Modality.SAR:
        scene[:, 120:] = rng.rayleigh(0.5, scene[:, 120:].shape).astype(np.float32)
    else:
        scene[:, 120:] = np.clip(rng.normal(130, 12, scene[:, 120:].shape), 0, 255)
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.LAND_BESIDE) is not Level.OK
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.1)


def test_smeared_radar_ship_is_told() -> None:
    scene = ship_scene(Modality.SAR, 0.0)
    lines = np.random.default_rng(8).rayleigh(0.8, (200, 1)).astype(np.float32)
    smeared = np.where(hull_mask((200, 200), 0.0, 100.0, 30.0), lines, empty_sea(Modality.SAR))
    framed = frame_chip(smeared.astype(np.float32), Modality.SAR, 1.0)
    assert level(framed, Kind.SMEARED) is not Level.OK
    assert level(frame_chip(scene, Modality.SAR, 1.0), Kind.SMEARED) is Level.OK


@BOTH
@pytest.mark.parametrize(("share", "expected"), [(0.3, Level.DOUBTFUL), (0.8, Level.BAD)])
def test_saturated_hull_is_told(modality: Modality, share: float, expected: Level) -> None:
    scene = ship_scene(modality, 30.0)
    grey = scene if scene.ndim == 2 else scene.mean(axis=2)
    ship = grey > (0.3 if scene.ndim == 2 else 70)
    drawn = np.random.default_rng(6).random(grey.shape) < share
    scene[ship & drawn] = 255 if scene.ndim == 3 else 3.0
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.SATURATED) is expected


@BOTH
@pytest.mark.parametrize(("length", "expected"), [(16.0, Level.BAD), (32.0, Level.DOUBTFUL)])
def test_too_few_pixels_along_the_hull_are_told(
    modality: Modality, length: float, expected: Level
) -> None:
    scene = add_ship(empty_sea(modality, (60, 60)), 0.0, length, length / 4)
    framed = frame_chip(scene, modality, 5.0)
    assert level(framed, Kind.TOO_COARSE) is expected
    assert finding(framed, Kind.TOO_COARSE).value == pytest.approx(length, rel=0.2)


@BOTH
def test_a_shape_as_wide_as_long_is_implausible(modality: Modality) -> None:
    scene = add_ship(empty_sea(modality), 0.0, 70.0, 50.0)
    framed = frame_chip(scene, modality, 1.0)
    assert level(framed, Kind.IMPLAUSIBLE_SHAPE) is Level.BAD or framed.framing.method == "none"


@BOTH
@pytest.mark.parametrize("gsd_m", [0.05, 10.0])
def test_gsd_that_makes_no_ship_is_told(modality: Modality, gsd_m: float) -> None:
    framed = frame_chip(ship_scene(modality, 35.0), modality, gsd_m)
    assert level(framed, Kind.GSD_CONTRADICTS_SIZE) is Level.BAD
    assert "gsd_m" in said(framed, Kind.GSD_CONTRADICTS_SIZE)


@BOTH
def test_every_sentence_is_a_sentence(modality: Modality) -> None:
    for chip in (ship_scene(modality, 35.0), empty_sea(modality)):
        framed = frame_chip(chip, modality, 1.0)
        for one in framed.framing.findings:
            text = said(framed, one.kind)
            assert text[0].isupper() or text[0].isdigit()
            assert text.endswith(".")
