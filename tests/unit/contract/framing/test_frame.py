"""Framing of scenes with a known ship."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.crop import TIGHT_WIDTH
from service.contract.framing.findings import Kind, Level
from service.contract.framing.frame import frame_chip
from service.contract.framing.records import FramedPixels
from tests.support.inputs.scenes import add_ship, empty_sea, hull_mask, ship_scene

BOTH = pytest.mark.parametrize("modality", list(Modality))


def axis_difference(framed: FramedPixels, axis: float) -> float:
    """Difference of the ship's axis from another in degrees, 0 to 90."""
    assert framed.framing.outline is not None
    return abs((framed.framing.outline.axis_deg - axis + 90.0) % 180.0 - 90.0)


def corners(framed: FramedPixels) -> tuple[tuple[float, float], ...]:
    """Corners of the outline; none without a ship."""
    outline = framed.framing.outline
    return () if outline is None else outline.corners()


@BOTH
@settings(max_examples=12, deadline=None)
@given(axis=st.floats(0.0, 179.9))
def test_axis_length_and_width_are_found_at_any_heading(modality: Modality, axis: float) -> None:
    framed = frame_chip(ship_scene(modality, axis), modality, 2.0)
    assert framed.framing.method != "none"
    assert axis_difference(framed, axis) <= 3.0
    assert framed.framing.length_m == pytest.approx(200.0, rel=0.08)
    assert framed.framing.width_m == pytest.approx(
        36.0, rel=0.3 if modality is Modality.SAR else 0.1
    )
    assert framed.framing.worst is Level.OK


@BOTH
def test_framed_chip_is_upright_and_tight(modality: Modality) -> None:
    framed = frame_chip(ship_scene(modality, 60.0), modality, 1.0)
    height, width = framed.pixels.shape[:2]
    assert framed.framing.method == "rotated"
    assert height == pytest.approx(115, abs=8)
    assert width == pytest.approx(18 * TIGHT_WIDTH[modality], abs=6)
    again = frame_chip(framed.pixels, modality, 1.0)
    assert again.framing.method == "unchanged"


@BOTH
def test_result_keeps_the_type_and_does_not_change_the_input(modality: Modality) -> None:
    scene = ship_scene(modality, 30.0)
    before = scene.copy()
    framed = frame_chip(scene, modality, 1.0)
    assert framed.pixels.dtype == scene.dtype
    np.testing.assert_array_equal(scene, before)


def test_rotation_keeps_the_amplitude_scale() -> None:
    scene = ship_scene(Modality.SAR, 30.0) * np.float32(1e4)
    framed = frame_chip(scene, Modality.SAR, 1.0)
    inside = scene[hull_mask((200, 200), 30.0, 90.0, 14.0)].mean()
    core = framed.pixels[20:-20, 6:-6].mean()
    assert core == pytest.approx(inside, rel=0.1)


@BOTH
def test_scaling_brightness_does_not_move_the_outline(modality: Modality) -> None:
    if modality is Modality.OPTICAL:
        pytest.skip("an 8-bit picture cannot be scaled without loss")
    scene = ship_scene(modality, 40.0)
    one = frame_chip(scene, modality, 1.0)
    two = frame_chip(scene * np.float32(37.0), modality, 1.0)
    np.testing.assert_allclose(corners(one), corners(two), atol=0.5)


@BOTH
def test_tight_upright_chip_passes_unchanged(modality: Modality) -> None:
    chip = add_ship(empty_sea(modality, (116, 24)), 0.0)
    framed = frame_chip(chip, modality, 1.0)
    assert framed.framing.method == "unchanged"
    assert framed.pixels is chip
    assert framed.framing.turned_deg == 0.0
    assert framed.framing.removed_share == 0.0


@BOTH
def test_lying_tight_chip_is_turned_without_resampling(modality: Modality) -> None:
    chip = add_ship(empty_sea(modality, (24, 116)), 90.0)
    framed = frame_chip(chip, modality, 1.0)
    assert framed.framing.method == "quarter_turn"
    assert framed.framing.turned_deg == -90.0  # the right side of the chip is now its top
    np.testing.assert_array_equal(framed.pixels, np.rot90(chip))


@BOTH
def test_upright_ship_in_a_loose_chip_is_cut_out_without_resampling(modality: Modality) -> None:
    scene = ship_scene(modality, 0.0)
    framed = frame_chip(scene, modality, 1.0)
    assert framed.framing.method == "cropped"
    windows = np.lib.stride_tricks.sliding_window_view(
        scene if scene.ndim == 2 else scene[..., 0], framed.pixels.shape[:2]
    )
    part = framed.pixels if scene.ndim == 2 else framed.pixels[..., 0]
    assert (windows == part).all(axis=(2, 3)).any()


@BOTH
def test_outline_is_found_off_the_middle_of_a_large_chip(modality: Modality) -> None:
    scene = add_ship(empty_sea(modality, (1200, 1100)), 25.0, 90.0, 16.0, (500.0, 640.0))
    framed = frame_chip(scene, modality, 1.0)
    centre = np.mean(corners(framed), axis=0)
    np.testing.assert_allclose(centre, (640.0, 500.0), atol=5.0)
    assert framed.framing.length_m == pytest.approx(90.0, rel=0.08)
    assert axis_difference(framed, 25.0) <= 3.0


def with_foredeck(level: float, width: float) -> NDArray[Any]:
    """A radar scene of 9 looks: bright decks over 66 pixels, and 28 pixels of `level` ahead."""
    speckle = np.sqrt(np.random.default_rng(5).gamma(9.0, 1 / 9, (200, 200)))
    faint = hull_mask((200, 200), 0.0, 36.0, width, (72.0, 99.5))
    scene = np.where(faint, level, 0.05) * speckle
    return add_ship(scene.astype(np.float32), 0.0, 66.0, 18.0, (115.0, 99.5))


def test_a_faint_foredeck_is_part_of_the_hull_and_a_side_lobe_is_not() -> None:
    whole = frame_chip(with_foredeck(0.17, 17.0), Modality.SAR, 1.0)
    assert whole.framing.length_m == pytest.approx(94.0, rel=0.08)
    lobe = frame_chip(with_foredeck(0.17, 3.0), Modality.SAR, 1.0)
    assert lobe.framing.length_m == pytest.approx(66.0, rel=0.08)


def test_missing_values_are_no_ship() -> None:
    scene = ship_scene(Modality.SAR, 70.0)
    scene[:, :30] = np.nan
    scene[150:, 150:] = np.nan
    framed = frame_chip(scene, Modality.SAR, 1.0)
    assert axis_difference(framed, 70.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


def test_undeclared_zeros_are_no_water() -> None:
    scene = ship_scene(Modality.SAR, 70.0)
    scene[:, :40] = 0.0
    framed = frame_chip(scene, Modality.SAR, 1.0)
    assert axis_difference(framed, 70.0) <= 3.0


def test_land_in_a_corner_is_not_taken_for_the_ship() -> None:
    scene = ship_scene(Modality.SAR, 45.0)
    land = np.add.outer(np.arange(200), np.arange(200)) < 120
    scene[land] = np.random.default_rng(3).rayleigh(0.4, int(land.sum()))
    framed = frame_chip(scene, Modality.SAR, 1.0)
    assert axis_difference(framed, 45.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


def test_a_wide_bright_quay_is_not_taken_for_a_dark_ship() -> None:
    scene = ship_scene(Modality.OPTICAL, 10.0)
    ship = scene[..., 0] > 60
    scene[ship] = scene[ship] // 3 + 20  # (70, 43, 40) on water of (30, 45, 60)
    rng = np.random.default_rng(5)
    scene[:, 130:] = np.clip(rng.normal(210, 25, scene[:, 130:].shape), 0, 255)
    framed = frame_chip(scene, Modality.OPTICAL, 1.0)
    assert axis_difference(framed, 10.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


@pytest.mark.parametrize("lit", [0.0, 0.03])
def test_black_water_is_no_missing_data(lit: float) -> None:
    """Water of 0 in all bands, and water of which few pixels are 1."""
    rng = np.random.default_rng(6)
    sea = (rng.random((200, 200, 3)) < lit).astype(np.uint8)
    framed = frame_chip(add_ship(sea, 70.0), Modality.OPTICAL, 1.0)
    assert axis_difference(framed, 70.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


def test_a_picture_turned_into_black_is_searched_inside() -> None:
    scene = ship_scene(Modality.OPTICAL, 40.0)
    away = np.abs(np.indices((200, 200)) - 99.5).sum(axis=0)
    scene[away > 99.5] = 0  # a diamond of half the area is left
    framed = frame_chip(scene, Modality.OPTICAL, 1.0)
    assert axis_difference(framed, 40.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.08)


def test_side_lobe_cross_does_not_turn_the_axis() -> None:
    scene = ship_scene(Modality.SAR, 30.0)
    scene[100, :] = np.maximum(scene[100, :], 0.4)
    scene[:, 100] = np.maximum(scene[:, 100], 0.4)
    framed = frame_chip(scene, Modality.SAR, 1.0)
    assert axis_difference(framed, 30.0) <= 3.0
    assert framed.framing.length_m == pytest.approx(100.0, rel=0.1)


@BOTH
def test_empty_sea_holds_no_ship(modality: Modality) -> None:
    sea = empty_sea(modality, seed=5)
    framed = frame_chip(sea, modality, 1.0)
    assert framed.framing.method == "none"
    assert framed.pixels is sea
    assert framed.framing.worst is Level.BAD


@BOTH
@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (8, 8), (9, 31), (64, 64)])
def test_constant_chips_hold_no_ship(
    modality: Modality, value: int, shape: tuple[int, int]
) -> None:
    size = shape if modality is Modality.SAR else (*shape, 3)
    chip = np.full(size, value, np.float32 if modality is Modality.SAR else np.uint8)
    framed = frame_chip(chip, modality, 1.0)
    assert framed.framing.method == "none"
    assert len(framed.framing.findings) == len(Kind)


@BOTH
@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 1000),
    missing=st.booleans(),
)
def test_chips_of_any_size_and_content_are_judged(
    modality: Modality, height: int, width: int, seed: int, missing: bool
) -> None:
    rng = np.random.default_rng(seed)
    if modality is Modality.SAR:
        chip = rng.lognormal(0.0, 2.0, (height, width)).astype(np.float32)
        if missing:
            chip[rng.random(chip.shape) < 0.5] = np.nan
    else:
        chip = rng.integers(0, 256, (height, width, 3), np.uint8)
    framed = frame_chip(chip, modality, 1.0)
    assert framed.pixels.size > 0
    assert [finding.kind for finding in framed.framing.findings] == list(Kind)
    assert all(np.isfinite(finding.value) for finding in framed.framing.findings)
    assert np.isfinite(np.array(corners(framed))).all()


def test_all_missing_chip_holds_no_ship() -> None:
    framed = frame_chip(np.full((50, 60), np.nan, np.float32), Modality.SAR, 1.0)
    assert framed.framing.method == "none"


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        frame_chip(np.zeros((5, 5), np.uint8), Modality.OPTICAL, 1.0)


@BOTH
@pytest.mark.parametrize("shape", [(4096, 8), (8, 1300), (1441, 9)])
def test_a_chip_far_longer_than_wide_is_looked_at(
    modality: Modality, shape: tuple[int, int]
) -> None:
    sea = np.random.default_rng(3).exponential(40.0, (*shape, 3)).clip(0, 255).astype(np.uint8)
    pixels = sea[..., 0].astype(np.float32) if modality is Modality.SAR else sea
    framed = frame_chip(pixels, modality, 1.0)
    assert framed.framing.worst is Level.BAD
