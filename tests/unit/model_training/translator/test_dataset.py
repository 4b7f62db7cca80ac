"""Paired views: reading, splitting, drawing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_training.data.hoss import read_hoss
from model_training.data.pairs import read_pairs
from model_training.translator.dataset import (
    PairedViews,
    draw_batch,
    signed,
    split_vessels,
    views_of_chips,
    views_of_pairs,
)
from model_training.translator.diffusion import BridgeConfig
from service.contract.translation import bridge_start

SAMPLE = Path(__file__).parents[4].parent / "shared" / "data" / "hoss-sample"


def test_validation_vessels_are_never_trained_on(views: PairedViews) -> None:
    training, validation = split_vessels(views, 0.25, seed=3)
    assert len(validation.vessels) == 3
    assert set(training.vessels) | set(validation.vessels) == set(views.vessels)
    assert not set(training.vessels) & set(validation.vessels)
    assert len(validation.optical) == 6
    assert len(validation.sar) == 9
    again, _ = split_vessels(views, 0.25, seed=3)
    assert again.digest() == training.digest()


def test_one_vessel_cannot_be_split(views: PairedViews) -> None:
    with pytest.raises(ValueError, match="too few to train and validate"):
        split_vessels(views.only(np.array([0])), 0.1, seed=0)


def test_a_vessel_seen_by_one_sensor_only_is_refused(views: PairedViews) -> None:
    with pytest.raises(ValueError, match="1 of the vessels are seen by one sensor only"):
        replace(views, sar=views.sar[3:], sar_vessel=views.sar_vessel[3:])


def test_views_survive_the_disk(views: PairedViews, tmp_path: Path) -> None:
    views.save(tmp_path / "views.npz")
    stored = PairedViews.load(tmp_path / "views.npz")
    assert stored.digest() == views.digest()
    altered = views.sar.copy()
    altered[0, 0, 0, 0] ^= 1
    assert replace(views, sar=altered).digest() != views.digest()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_pairs_views_of_one_vessel_turned_alike(views: PairedViews, channels: int) -> None:
    batch = draw_batch(views, BridgeConfig(), channels, 40, np.random.default_rng(0))
    assert batch.condition.shape == (40, 3, 32, 16)
    assert batch.x0.shape == batch.y.shape == batch.noise.shape == (40, channels, 32, 16)
    dark, bright = batch.condition[:, 0] < -0.5, batch.x0[:, 0] > 0.5
    assert dark.any(dim=(1, 2)).all()
    assert (dark == bright).all()
    assert np.array_equal(batch.y.numpy(), bridge_start(batch.condition.numpy(), channels))


def test_batches_repeat_with_the_generator_and_use_every_view(views: PairedViews) -> None:
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


def test_pair_folders_become_views(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, shape in (("opt_256_oc_0.2", (64, 32, 3)), ("sar_256_oc_0.2", (64, 32))):
        (tmp_path / folder).mkdir()
        for number in (1, 2):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    views = views_of_pairs(read_pairs(tmp_path), 32, 16)
    assert views.optical.shape == views.sar.shape == (2, 32, 16, 3)
    assert np.array_equal(views.vessels, [0, 1])


def test_genuine_chips_become_views() -> None:
    if not SAMPLE.is_dir():
        pytest.skip("the genuine HOSS sample is not at ../shared/data/hoss-sample")
    views = views_of_chips(read_hoss(SAMPLE).train, 64, 16)
    assert len(views.vessels) == 15  # vessels of the sample with both sensors
    assert views.optical.shape[1:] == (64, 16, 3)
    assert (views.sar[..., 0] == views.sar[..., 2]).all()
    assert views.sar.max() > 100
