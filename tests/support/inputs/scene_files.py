"""Files of scenes with a ship of known place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from service.contract.chip import Modality
from tests.support.inputs.chip_files import picture_bytes, tiff_bytes
from tests.support.inputs.scenes import add_ship, empty_sea, ship_scene

MADRID = {"crs": "EPSG:32630", "transform": Affine(2.0, 0.0, 440_000.0, 0.0, -2.0, 4_474_000.0)}
"""Metres of UTM zone 30 N, 2 m a pixel, north up, near the zone's middle."""


def scene_file(pixels: NDArray[Any], **georeference: Any) -> bytes:
    """Write SAR amplitude as TIFF, and an optical picture as PNG, or TIFF where it is on a map."""
    if pixels.ndim == 2:
        return tiff_bytes(pixels, **georeference)
    if georeference:
        return tiff_bytes(np.moveaxis(pixels, 2, 0), photometric="RGB", **georeference)
    return picture_bytes(pixels, "PNG")


def loose_file(modality: Modality, axis_deg: float = 35.0, **georeference: Any) -> bytes:
    """A ship of 100 x 18 pixels amid 200 x 200 pixels of sea."""
    return scene_file(ship_scene(modality, axis_deg), **georeference)


def empty_file(modality: Modality) -> bytes:
    """Sea without a ship."""
    return scene_file(empty_sea(modality, seed=5))


def two_ships_file(modality: Modality) -> bytes:
    """Two equal ships, of which neither lies nearer the middle: a bad chip."""
    scene = add_ship(empty_sea(modality), 20.0, 80.0, 15.0, (100.0, 60.0))
    return scene_file(add_ship(scene, 20.0, 80.0, 15.0, (100.0, 140.0), seed=7))
