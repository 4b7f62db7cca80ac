"""The released augmentation: black padding with a random crop, erasing with noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.data.released_transforms import erase_with_noise, pad_and_crop
from model_training.data.transforms import (
    AppearanceConfig,
    AugmentConfig,
    GeometryConfig,
    Pose,
    augmented_sample,
    plain_sample,
)
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec


def test_padding_moves_the_picture_over_black_by_every_shift_up_to_the_padding() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(1, 256, (12, 8, 3), dtype=np.uint8)
    shifts = set()
    for _ in range(400):
        moved = pad_and_crop(picture, 2, rng)
        assert moved.shape == picture.shape
        rows, columns = (np.asarray(moved.any(axis=axes)) for axes in ((1, 2), (0, 2)))
        top, left = int(np.argmax(rows)), int(np.argmax(columns))
        down = top if not rows[0] else rows.sum() - 12
        across = left if not columns[0] else columns.sum() - 8
        shifts.add((int(down), int(across)))
        kept = moved[rows][:, columns]
        first_row, first_column = max(0, -down), max(0, -across)
        expected = picture[first_row : first_row + len(kept), first_column:]
        assert np.array_equal(kept, expected[:, : kept.shape[1]])
    assert shifts == {(down, across) for down in range(-2, 3) for across in range(-2, 3)}


def test_erasing_fills_2_to_33_per_cent_with_standard_normal_noise() -> None:
    rng = np.random.default_rng(1)
    shares, aspects, noise = [], [], []
    for _ in range(300):
        erased = erase_with_noise(np.full((3, 256, 128), 9.0, np.float32), rng)
        changed = (erased != 9).all(axis=0)
        tall, wide = int(changed.any(axis=1).sum()), int(changed.any(axis=0).sum())
        assert changed.sum() == tall * wide  # one rectangle
        shares.append(changed.mean())
        aspects.append(tall / wide)
        noise.append(erased[:, changed].ravel())
    assert 0.015 < min(shares) < 0.05
    assert 0.28 < max(shares) < 0.335
    assert min(aspects) > 0.27
    assert max(aspects) < 3.6
    values = np.concatenate(noise)
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("modality", list(Modality))
def test_the_config_turns_both_on_and_the_size_token_stays(modality: Modality) -> None:
    spec = PreprocessSpec(height=64, width=32)
    picture = np.random.default_rng(2).integers(100, 256, (90, 31, 3), dtype=np.uint8)
    plain = plain_sample(picture, modality, 0.75, spec)
    still = {"crop_along": 0, "crop_across": 0, "tilt": 0, "size_noise": 0, "turn_apart": 0}

    def augmented(pad: int, erase: float) -> NDArray[np.float32]:
        config = AugmentConfig(
            geometry=GeometryConfig(**still, pad=pad),
            appearance=AppearanceConfig(optical=0, sar=0, erase=erase, erase_with="noise"),
        )
        rng = np.random.default_rng(5)
        sample = augmented_sample(picture, modality, 0.75, spec, config, Pose(), rng)
        assert np.allclose(sample.size, plain.size)
        return sample.pixels

    assert np.array_equal(augmented(0, 0), plain.pixels)
    black = (0 - np.array(spec.mean)) / np.array(spec.std)
    padded = augmented(10, 0)
    border = np.isclose(padded, black[:, None, None], atol=1e-5).all(axis=0)
    assert 0 < border.mean() < 0.7
    changed = (augmented(0, 1) != plain.pixels).any(axis=0)
    assert 0.01 < changed.mean() < 0.36
