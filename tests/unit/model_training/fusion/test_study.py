"""From stored chips to the features that fusion is judged by."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model_training.data.cache import PictureStore, StoredChip, write_shard
from model_training.encoder.train_config import SimulatedData
from model_training.fusion.choice import choose_fusion
from model_training.fusion.study import as_markdown, validation_features
from model_training.run import RunConfig
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.train import LoadedTranslator, TranslatorConfig
from model_training.translator.unet import BridgeUNet, UNetConfig
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import picture_to_pixels, size_token

SPEC = PreprocessSpec(height=32, width=16, normalisation="per_chip", sar_exponent=0.7)
OPTICAL_CHIPS, SAR_CHIPS = 18, 20  # more than one batch of each


class Echo(nn.Module):
    """An encoder that returns its input: modality, size, pixels."""

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        return torch.cat([modality[:, None].float(), size, pixels.flatten(1)], dim=1)


def translator() -> LoadedTranslator:
    """Untrained: predicts grad 0, so that pseudo-SAR is the luminance."""
    unet = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)
    config = TranslatorConfig(
        run=RunConfig(out=Path("unused"), steps=1),
        unet=unet,
        bridge=BridgeConfig(steps=1),
        data=SimulatedData(
            kind="simulated", folder=Path("unused"), seed=0, validation_seed=1, vessels=100
        ),
    )
    return LoadedTranslator(BridgeUNet(unet).eval(), config, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PictureStore:
    rng = np.random.default_rng(0)
    chips = []
    for number in range(OPTICAL_CHIPS + SAR_CHIPS):
        picture = rng.integers(0, 256, (60 + number, 20, 3), dtype=np.uint8)
        modality, gsd_m = Modality.OPTICAL, 0.75
        if number >= OPTICAL_CHIPS:
            picture[:] = picture[..., :1]
            modality, gsd_m = Modality.SAR, 1.0
        chips.append(StoredChip(picture, modality, gsd_m, 10 + number % OPTICAL_CHIPS))
    folder = tmp_path_factory.mktemp("store")
    write_shard(folder, 0, chips)
    return PictureStore(folder, [0])


def test_every_chip_is_encoded_once_with_its_vessel(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    width = 1 + 3 + 3 * 32 * 16
    assert features.optical.shape == (OPTICAL_CHIPS, width)
    assert features.pseudo_sar.shape == (OPTICAL_CHIPS, 2, width)
    assert features.sar.shape == (SAR_CHIPS, width)
    assert np.array_equal(features.optical_ids, 10 + np.arange(OPTICAL_CHIPS))
    assert np.array_equal(
        features.sar_ids, 10 + np.arange(OPTICAL_CHIPS, OPTICAL_CHIPS + SAR_CHIPS) % OPTICAL_CHIPS
    )
    assert np.all(features.optical[:, 0] == 0)
    assert np.all(features.sar[:, 0] == 1)


def test_pseudo_sar_is_encoded_as_sar_of_the_optical_chips_size(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    assert np.all(features.pseudo_sar[..., 0] == 1)
    for row in range(OPTICAL_CHIPS):
        height, width = store.picture(row).shape[:2]
        expected = size_token(height * 0.75, width * 0.75, SPEC.size_token)
        assert np.allclose(features.pseudo_sar[row, :, 1:4], expected)
    pixels = features.pseudo_sar[17, 0, 4:].reshape(3, 32, 16)
    luminance = store.picture(17) @ np.array([0.299, 0.587, 0.114])
    grey = np.repeat(np.rint(luminance)[..., None], 3, axis=2).astype(np.uint8)
    resized = picture_to_pixels(grey, Modality.SAR, SPEC)
    assert np.corrcoef(pixels.ravel(), resized.ravel())[0, 1] > 0.98


def test_the_table_names_every_trial_and_ends_in_the_verdict(store: PictureStore) -> None:
    features = validation_features(Echo(), SPEC, translator(), store, samples=2)
    choice = choose_fusion(features, alphas=[0.1], samples=[1, 2], draws=50)
    lines = as_markdown(choice).splitlines()
    assert len(lines) == 3 + 4 + 2
    assert lines[2].startswith("| none |")
    assert lines[-1] == choice.sentence
