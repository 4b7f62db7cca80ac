"""Views: determinism, formats, geometry, and agreement of layout and pixels."""

from dataclasses import replace

import numpy as np
import pytest

from model_training.simulator import (
    LAYOUT_CHANNELS,
    SimulatorConfig,
    VesselModel,
    map_views,
    render_many,
    render_view,
    sample_fleet,
)
from model_training.simulator.ships.catalogue import CATALOGUE
from model_training.simulator.ships.vessel import sample_vessel
from model_training.simulator.views import SensorName, View

CONFIG = SimulatorConfig()
TIGHT = SimulatorConfig(
    crop_margin=0.045, crop_sd=0.0, bad_crop_probability=0.0, moving_probability=0.0
)


@pytest.fixture(scope="module")
def ship() -> VesselModel:
    return next(v for v in sample_fleet(100, 1, CONFIG) if v.vessel_type == "bulk_carrier_geared")


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_type_renders_in_both_sensors(kind: str) -> None:
    vessel = replace(
        sample_vessel(0, 1, CONFIG),
        vessel_type=kind,
        length_m=CATALOGUE[kind].length_mean_m,
        beam_m=CATALOGUE[kind].length_mean_m / CATALOGUE[kind].length_to_beam[0],
    )
    optical, sar = (render_view(vessel, sensor, 0, CONFIG) for sensor in ("optical", "sar"))
    assert optical.pixels.dtype == np.uint8
    assert optical.pixels.ndim == 3
    assert sar.pixels.dtype == np.float32
    assert sar.pixels.ndim == 2
    assert np.isfinite(sar.pixels).all()
    assert 0 <= sar.pixels.min() < sar.pixels.max() < 2.6
    for view in (optical, sar):
        assert view.mask.shape == view.pixels.shape[:2]
        assert 0.1 < view.mask.mean() < 1.0
        assert view.layout.shape == (32, len(LAYOUT_CHANNELS))
        assert view.layout.dtype == np.float32
        assert view.pixels.flags.c_contiguous
        assert view.pixels[view.mask].mean() > 1.1 * view.pixels[~view.mask].mean() or (
            view.modality == "optical"  # a dark ship on hazy water
        )


@pytest.mark.parametrize("length", [20.0, 400.0])
def test_the_smallest_and_the_largest_ship_fill_their_chips(length: float) -> None:
    vessel = replace(sample_vessel(0, 1, CONFIG), length_m=length, beam_m=length / 6)
    for sensor in ("optical", "sar"):
        view = render_view(vessel, sensor, 0, TIGHT)
        shown = view.pixels.shape[0] * view.gsd_m
        assert 0.75 * length < shown < 2.2 * length  # layover lengthens a boat


@pytest.mark.parametrize("sensor", ["optical", "sar"])
def test_equal_seeds_give_equal_pixels(ship: VesselModel, sensor: SensorName) -> None:
    first, again = (render_view(ship, sensor, 5, CONFIG) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    other = render_view(ship, sensor, 6, CONFIG)
    assert other.pixels.shape != first.pixels.shape or (other.pixels != first.pixels).any()


def test_the_layout_depends_on_the_sensor_only_through_the_bow(ship: VesselModel) -> None:
    views = [render_view(ship, s, seed, CONFIG) for s in ("optical", "sar") for seed in range(6)]
    assert {v.bow_up for v in views} == {True, False}
    upright = [v.layout[::-1] if v.bow_up else v.layout for v in views]
    for layout in upright:
        np.testing.assert_array_equal(layout, upright[0])
    house = LAYOUT_CHANNELS.index("house")
    hatch = LAYOUT_CHANNELS.index("hatch")
    assert upright[0][:8, house].sum() > 3 * upright[0][8:, house].sum()  # aft, so first rows
    assert upright[0][8:28, hatch].mean() > 0.2


def test_gsd_scales_the_chip_but_not_the_ship(ship: VesselModel) -> None:
    config = TIGHT.model_copy(update={"rotation_sd_deg": 0.0})
    fine = render_view(ship, "optical", 3, config, gsd_m=0.4)
    coarse = render_view(ship, "optical", 3, config, gsd_m=0.8)
    assert fine.gsd_m == 0.4
    assert fine.pixels.shape[0] == pytest.approx(2 * coarse.pixels.shape[0], abs=2)
    sar = render_view(ship, "sar", 3, config, gsd_m=3.0)
    assert sar.pixels.shape[0] * 3.0 == pytest.approx(ship.length_m, rel=0.25)


def test_an_unknown_sensor_is_rejected(ship: VesselModel) -> None:
    with pytest.raises(ValueError, match="'infrared'"):
        render_view(ship, "infrared", 0, CONFIG)  # type: ignore[arg-type]


def _height(view: View) -> int:
    return int(view.pixels.shape[0])


def test_the_number_of_processes_does_not_change_the_pixels() -> None:
    fleet = sample_fleet(3, 2, CONFIG)
    views: tuple[SensorName, ...] = ("optical", "sar", "sar")
    one_process = list(render_many(fleet, views, (0, 0, 1), 1, CONFIG))
    two_processes = list(render_many(fleet, views, (0, 0, 1), 2, CONFIG))
    for one, two in zip(one_process, two_processes, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)
    heights = list(map_views(_height, fleet, views, (0, 0, 1), 1, CONFIG))
    assert heights == [[_height(view) for view in row] for row in one_process]


def test_fewer_seeds_than_views_are_rejected() -> None:
    with pytest.raises(ValueError, match="2 views but 1 seeds"):
        render_many([], ("optical", "sar"), (0,), 1, CONFIG)
