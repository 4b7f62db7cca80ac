"""Physical laws of both sensors, each tested on a scene made for it."""

from dataclasses import replace

import numpy as np
import pytest

from model_training.simulator import SimulatorConfig, sample_fleet
from model_training.simulator.raster import Maps, draw, draw_all
from model_training.simulator.sensors.optical import OpticalGeometry, visible_cells
from model_training.simulator.sensors.sar import Echoes, project, surface_and_wall_echoes
from model_training.simulator.sensors.sar_geometry import SarGeometry
from model_training.simulator.sensors.sar_imaging import form_image
from model_training.simulator.sensors.shadow import shadow_mask
from model_training.simulator.ships.blueprint import Part
from model_training.simulator.ships.materials import Material
from model_training.simulator.ships.structure import build_structure
from model_training.simulator.ships.vessel import generator
from model_training.simulator.ships.visit import make_visit

LOOK = SarGeometry(
    incidence=np.deg2rad(45), look_azimuth=0.0, resolution_m=2.0, looks=1, smear=0.0, drift=(0, 0)
)


def _empty(rows: int = 40, columns: int = 20, cell: float = 0.5) -> Maps:
    zeros = np.zeros((rows, columns), np.float32)
    return Maps(cell, zeros, zeros.astype(np.uint8))


def test_a_shadow_is_as_long_as_height_over_tangent() -> None:
    height = np.zeros((60, 9), np.float32)
    height[10, :] = 10.0
    shade = shadow_mask(height, 0.5, (1.0, 0.0), np.deg2rad(45))
    assert not shade[:11].any()
    lit_from = int(np.flatnonzero(shade[:, 4]).max()) + 1
    assert lit_from - 11 == pytest.approx(10.0 / 0.5, abs=1.5)  # 10 m at 45 degrees
    assert shadow_mask(height, 0.5, (-1.0, 0.0), np.deg2rad(45))[:10].any()


def test_parts_are_drawn_at_their_place_and_cut_at_the_edge() -> None:
    maps = _empty()
    draw(maps, Part("box", 2.0, 4.0, -1.0, 1.0, 3.0, Material.HATCH))
    np.testing.assert_array_equal(np.argwhere(maps.height == 3.0).min(0), [4, 8])
    np.testing.assert_array_equal(np.argwhere(maps.height == 3.0).max(0), [7, 11])
    draw_all(
        maps,
        [
            Part("box", -50.0, -40.0, -1.0, 1.0, 9.0, Material.HATCH),
            Part("disc", 18.0, 30.0, -6.0, 6.0, 7.0, Material.TANK, 0.0, True),
            Part("disc", 100.0, 120.0, -6.0, 6.0, 9.0, Material.TANK),
            Part("beam", 0.0, 60.0, 0.0, 0.0, 5.0, Material.CRANE, 1.0),
        ],
    )
    assert maps.height.max() < 9.0
    assert (maps.material == Material.TANK).any()
    assert (maps.material[:, 10] == Material.CRANE).all()


def test_a_part_smaller_than_a_cell_covers_one_cell() -> None:
    maps = _empty()
    draw(maps, Part("box", 5.1, 5.15, 0.0, 0.02, 1.0, Material.PIPE))
    assert (maps.material == Material.PIPE).sum() == 1


def test_tall_structure_leans_away_by_height_times_tangent() -> None:
    height = np.zeros((80, 60), np.float32)
    ship = np.zeros(height.shape, bool)
    ship[20:60, 20:40] = True
    height[ship] = 5.0
    height[40:44, 28:32] = 25.0  # a tower 20 m above the deck
    geometry = OpticalGeometry(1.0, 0.0, float(np.arctan(0.5)), np.pi / 2)
    source, wall = visible_cells(height, ship, 5.0, geometry, 1.0)
    tower = np.isin(source, np.flatnonzero(height.ravel() == 25.0)) & ~wall
    assert np.argwhere(tower).min(0).tolist() == [40, 38]  # ten metres to starboard
    assert wall[41, 34]
    nadir, no_wall = visible_cells(height, ship, 5.0, replace(geometry, off_nadir=0.0), 1.0)
    np.testing.assert_array_equal(nadir >= 0, ship)
    assert not (no_wall & (height == 5.0)).any()


def test_layover_moves_height_towards_the_radar() -> None:
    config = SimulatorConfig(sister_fraction=0.0)
    vessel = sample_fleet(1, 1, config)[0]
    structure = build_structure(vessel, 8)
    echoes = Echoes()
    row = np.array([50.0, 50.0])
    echoes.add(row, row * 0, np.array([0.0, 10.0]), np.ones(2))
    x, y, _ = project(echoes, structure, LOOK)
    assert x[1] - x[0] == pytest.approx(-10.0, abs=1e-4)  # 10 m / tan 45 degrees
    assert y[0] == pytest.approx(y[1])
    _, y, _ = project(echoes, structure, replace(LOOK, look_azimuth=np.pi / 2))
    assert y[1] - y[0] == pytest.approx(-10.0, abs=1e-4)


def test_the_impulse_response_has_the_set_width_and_side_lobes_along_the_look() -> None:
    dark = np.full((128, 128), 1e-12, np.float32)
    corner = (np.array([64 * 128 + 64]), np.array([100.0], np.float32))
    geometry = replace(LOOK, resolution_m=4.0, look_azimuth=np.pi / 4)
    image = form_image(dark, corner, geometry, 1.0, generator(5)) ** 2
    image -= np.median(image)
    assert int(image.argmax()) == 64 * 128 + 64
    steps = np.arange(1, 6)
    along = image[64 + steps, 64 + steps] / image.max()  # range runs along the diagonal
    width = 2 * np.sqrt(2) * np.interp(-0.5, -along, steps)
    assert width == pytest.approx(4.0, rel=0.3)
    far = np.arange(8, 40)
    arms = image[64 + far, 64 + far].sum() + image[64 + far, 64 - far].sum()
    assert arms > 2 * (image[64 + far, 64].sum() + image[64, 64 + far].sum())


def test_smear_spreads_along_azimuth_only() -> None:
    dark = np.full((128, 128), 1e-12, np.float32)
    corner = (np.array([64 * 128 + 64]), np.array([100.0], np.float32))
    image = form_image(dark, corner, replace(LOOK, smear=8.0), 1.0, generator(5)) ** 2
    assert (image[64, 50:79] > 0.05 * image.max()).sum() > 8  # columns: across the look
    assert (image[50:79, 64] > 0.05 * image[64].max()).sum() < 6


def test_speckle_is_rayleigh_and_averaging_looks_reduces_it() -> None:
    even = np.full((96, 96), 4.0, np.float32)
    no_corners = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    spread = {}
    for looks in (1, 4):
        image = form_image(even, no_corners, replace(LOOK, looks=looks), 1.0, generator(3))
        spread[looks] = float(image.std() / image.mean())
        assert float((image**2).mean()) == pytest.approx(4.0, rel=0.1)
    assert spread[1] == pytest.approx(np.sqrt(4 / np.pi - 1), rel=0.1)
    assert spread[4] == pytest.approx(spread[1] / 2, rel=0.15)


def test_walls_that_face_the_radar_squarely_return_more() -> None:
    config = SimulatorConfig(sister_fraction=0.0)
    vessel = next(v for v in sample_fleet(60, 1, config) if v.vessel_type == "bulk_carrier")
    structure = build_structure(vessel, 8)
    visit = make_visit(structure, generator(1))
    returns = {}
    for degrees in (90, 70, 45):
        look = replace(LOOK, look_azimuth=float(np.deg2rad(degrees)))
        echoes = surface_and_wall_echoes(structure, visit, look, generator(2))
        returns[degrees] = float(sum(power.sum() for power in echoes.power))
    assert returns[90] > 2 * returns[70]
    assert returns[90] > 2 * returns[45]
