"""Paired views: reading from a store, selecting vessels, drawing batches."""

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from model_training.data.cache import CachedChip, PictureStore, write_shard
from model_training.translator.dataset import (
    PairedViews,
    draw_batch,
    signed,
    views_of_folder,
    views_of_store,
)
from model_training.translator.diffusion import BridgeConfig
from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import to_picture
from service.contract.translation import bridge_picture, bridge_start
from tests.support.training.training_data import write_chips


def test_only_selects_the_views_of_the_named_vessels(views: PairedViews) -> None:
    selected = views.only(np.array([2, 7]))
    assert np.array_equal(selected.vessels, [2, 7])
    assert np.array_equal(selected.optical, views.optical[[4, 5, 14, 15]])
    assert np.array_equal(selected.sar, views.sar[[6, 7, 8, 21, 22, 23]])


def test_a_vessel_seen_by_one_sensor_only_is_refused(views: PairedViews) -> None:
    with pytest.raises(ValueError, match="1 of the vessels are seen by one sensor only"):
        replace(views, sar=views.sar[3:], sar_vessel=views.sar_vessel[3:])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_pairs_views_of_one_vessel_turned_alike(views: PairedViews, channels: int) -> None:
    batch = draw_batch(views, BridgeConfig(), channels, 40, np.random.default_rng(0))
    assert batch.condition.shape == (40, 3, 32, 16)
    assert batch.x0.shape == batch.y.shape == batch.noise.shape == (40, channels, 32, 16)
    dark, bright = batch.condition[:, 0] < -0.5, batch.x0[:, 0] > 0.5
    assert dark.any(dim=(1, 2)).all()
    assert (dark == bright).all()
    assert np.array_equal(batch.y.numpy(), bridge_start(batch.condition.numpy(), channels))


def test_equal_generators_draw_equal_batches_of_whole_views(views: PairedViews) -> None:
    config = BridgeConfig()
    first = draw_batch(views, config, 1, 200, np.random.default_rng(5))
    again = draw_batch(views, config, 1, 200, np.random.default_rng(5))
    assert (first.x0 == again.x0).all()
    assert (first.t == again.t).all()
    assert (first.noise == again.noise).all()
    drawn = {picture.numpy().tobytes() for picture in first.x0}
    allowed = set()
    for axes in ((), (1,), (2,), (1, 2)):
        turned = signed(np.flip(views.sar, axes) if axes else views.sar)[:, :1]
        allowed |= {np.ascontiguousarray(picture).tobytes() for picture in turned}
    assert drawn <= allowed
    assert len(drawn) > 100  # 36 SAR views, four orientations, 200 draws


def test_zoom_cuts_and_stretches_both_pictures_of_a_pair_alike(views: PairedViews) -> None:
    """The pictures of a pair are equal here, so they must stay equal."""
    equal = replace(views, optical=views.sar, optical_vessel=views.sar_vessel)
    one_each = equal.only(np.array([2]))
    one_each = PairedViews(*(part[:1] for part in astuple(one_each)))
    zoomed, plain = (
        draw_batch(one_each, BridgeConfig(), 3, 20, np.random.default_rng(0), zoom=zoom)
        for zoom in (0.3, 0.0)
    )
    assert np.array_equal(zoomed.condition.numpy(), zoomed.x0.numpy())
    changed = (zoomed.x0 != plain.x0).flatten(1).any(dim=1)
    assert changed.float().mean() > 0.8


def test_vessels_of_a_store_with_both_sensors_become_views(tmp_path: Path) -> None:
    """Vessel 3 has both sensors, vessel 5 has optical chips only; chips differ in size."""
    rng = np.random.default_rng(0)

    def chip(modality: Modality, vessel: int, height: int, width: int) -> CachedChip:
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if modality is Modality.SAR:
            picture[:] = picture[..., :1]
        return CachedChip(picture, modality, 1.0, vessel)

    chips = [
        chip(Modality.SAR, 3, 80, 20),
        chip(Modality.OPTICAL, 5, 90, 25),
        chip(Modality.OPTICAL, 3, 100, 30),
        chip(Modality.OPTICAL, 3, 101, 31),
    ]
    write_shard(tmp_path, 0, chips)
    views = views_of_store(PictureStore(tmp_path, [0]), 32, 16)
    assert np.array_equal(views.vessels, [3])
    assert np.array_equal(views.optical_vessel, [3, 3])
    assert np.array_equal(views.sar_vessel, [3])
    assert views.optical.shape == (2, 32, 16, 3)
    # resizing when the store is read gives what the contract computes from the whole picture
    picture = signed(views.optical[:1])[0]
    assert np.array_equal(picture, bridge_picture(chips[2].picture, 32, 16))
    write_shard(tmp_path / "optical", 0, chips[1:2])
    alone = PictureStore(tmp_path / "optical", [0])
    with pytest.raises(ValueError, match="no vessel is seen by both sensors"):
        views_of_store(alone, 32, 16)


def test_a_folder_in_hoss_layout_becomes_views_as_the_contract_prepares_them(
    tmp_path: Path,
) -> None:
    write_chips(tmp_path, "0003_a_RGB.tif", "0003_b_SAR.tif", "0005_a_RGB.tif")
    views = views_of_folder(tmp_path, PreprocessSpec(), 32, 16)
    assert np.array_equal(views.vessels, [3])
    (file,) = tmp_path.rglob("0003_b_SAR.tif")
    picture = to_picture(decode_chip(file.read_bytes(), modality=Modality.SAR), PreprocessSpec())
    assert np.array_equal(signed(views.sar)[0], bridge_picture(picture, 32, 16))
