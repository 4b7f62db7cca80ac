"""Augmentation equals the serving code at strength zero and has the configured statistics."""

import numpy as np
import pytest
from PIL import Image

from model_training.data.transforms import (
    AppearanceConfig,
    AugmentConfig,
    GeometryConfig,
    Pose,
    augmented_sample,
    plain_sample,
)
from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import Picture, normalise, prepare, to_picture

SPEC = PreprocessSpec(height=64, width=16, sar_exponent=0.7, normalisation="per_chip")
UNCHANGED = AugmentConfig(
    geometry=GeometryConfig(
        crop_along=0, crop_across=0, tilt=0, size_noise=0, mirror=0, half_turn=0, turn_apart=0
    ),
    appearance=AppearanceConfig(optical=0, sar=0, erase=0),
)


def picture(seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (90, 31, 3), dtype=np.uint8)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("modality", list(Modality))
def test_a_plain_sample_equals_the_input_that_serving_prepares(modality: Modality) -> None:
    pixels = picture()
    if modality is Modality.SAR:
        amplitude = pixels[:, :, 0].astype(np.float32)
        chip = Chip(amplitude, modality, 0.6, "parameter", "float32", "0" * 64)
    else:
        chip = Chip(pixels, modality, 0.6, "parameter", "uint8", "0" * 64)
    served = prepare(chip, SPEC)
    sample = plain_sample(to_picture(chip, SPEC), modality, 0.6, SPEC)
    assert np.array_equal(sample.pixels, served.pixels)
    assert np.array_equal(sample.size, served.size_token)


@pytest.mark.parametrize("modality", list(Modality))
def test_augmentation_of_strength_zero_changes_nothing(modality: Modality) -> None:
    plain = plain_sample(picture(), modality, 0.75, SPEC)
    same = augmented_sample(picture(), modality, 0.75, SPEC, UNCHANGED, Pose(), generator())
    assert np.array_equal(plain.pixels, same.pixels)
    assert plain.size == pytest.approx(same.size)


def test_the_config_chooses_the_resize_filter() -> None:
    chip = picture()
    strengths = {"geometry": UNCHANGED.geometry, "appearance": UNCHANGED.appearance}
    made = {
        name: augmented_sample(
            chip,
            Modality.OPTICAL,
            0.75,
            SPEC,
            AugmentConfig.model_validate({**strengths, "resize": name}),
            Pose(),
            generator(),
        ).pixels
        for name in ("bilinear", "bicubic")
    }
    bicubic = Image.fromarray(chip).resize((SPEC.width, SPEC.height), Image.Resampling.BICUBIC)
    assert np.array_equal(made["bicubic"], normalise(np.asarray(bicubic), Modality.OPTICAL, SPEC))
    assert not np.array_equal(made["bicubic"], made["bilinear"])


def test_turns_and_mirrors_are_exact_and_reported() -> None:
    plain = plain_sample(picture(), Modality.OPTICAL, 0.75, SPEC)
    for pose, axes in [
        (Pose(True, False), (2,)),
        (Pose(False, True), (1, 2)),
        (Pose(True, True), (1,)),
    ]:
        sample = augmented_sample(
            picture(), Modality.OPTICAL, 0.75, SPEC, UNCHANGED, pose, generator()
        )
        assert sample.pixels == pytest.approx(np.flip(plain.pixels, axes), abs=0.03)
        assert (sample.mirrored, sample.turned) == (pose.mirrored, pose.turned)


def test_turn_apart_is_the_chance_that_one_chip_is_turned() -> None:
    config = UNCHANGED.model_copy(
        update={"geometry": UNCHANGED.geometry.model_copy(update={"turn_apart": 0.25})}
    )
    drawn = generator(1)
    turned = [
        augmented_sample(picture(), Modality.SAR, 1.0, SPEC, config, Pose(), drawn).turned
        for _ in range(400)
    ]
    assert 60 < sum(turned) < 140


def test_half_of_the_ships_are_tilted_with_the_configured_deviation() -> None:
    upright = np.zeros((100, 40, 3), np.uint8)
    upright[:, 18:22] = 255
    config = UNCHANGED.model_copy(
        update={"geometry": UNCHANGED.geometry.model_copy(update={"tilt": 0.1})}
    )
    spec = SPEC.model_copy(update={"height": 96, "width": 40})
    tilts = []
    for seed in range(300):
        sample = augmented_sample(
            upright, Modality.OPTICAL, 1.0, spec, config, Pose(), generator(seed)
        )
        rows = sample.pixels[0] - sample.pixels[0].min()
        middle = (rows * np.arange(40)).sum(1) / rows.sum(1)
        tilts.append((middle[95] - middle[0]) / 40)
    # half of the chips are tilted, with twice the variance
    assert np.std(tilts) == pytest.approx(0.1, rel=0.2)
    assert 0.3 < np.mean(np.abs(tilts) < 1e-3) < 0.7


def test_cropping_changes_the_measured_length_by_the_configured_deviation() -> None:
    config = UNCHANGED.model_copy(
        update={"geometry": UNCHANGED.geometry.model_copy(update={"crop_along": 0.05})}
    )
    plain = plain_sample(picture(), Modality.SAR, 1.0, SPEC)
    drawn = generator(2)
    lengths = []
    for _ in range(300):
        sample = augmented_sample(picture(), Modality.SAR, 1.0, SPEC, config, Pose(), drawn)
        token = SPEC.size_token
        lengths.append(
            (sample.size[1] * token.length_std + token.length_mean) * token.length_scale_m
        )
        assert sample.size[0] == pytest.approx(plain.size[0], abs=1e-4)
        assert sample.pixels.shape == (3, 64, 16)
    # two edges, each shifted by 5 % of 90 m
    assert np.std(lengths) == pytest.approx(90 * 0.05 * np.sqrt(2), rel=0.15)
    assert np.mean(lengths) == pytest.approx(90, abs=1.5)


@pytest.mark.parametrize("modality", list(Modality))
def test_full_strength_gives_finite_varied_reproducible_pixels(modality: Modality) -> None:
    config = AugmentConfig(
        geometry=GeometryConfig(crop_along=0.1, crop_across=0.2),
        appearance=AppearanceConfig(optical=3, sar=3, erase=1),
    )

    def draw(seed: int) -> np.ndarray:
        return augmented_sample(
            picture(), modality, 1.0, SPEC, config, Pose(), generator(seed)
        ).pixels

    drawn = [draw(seed) for seed in range(60)]
    assert all(np.isfinite(pixels).all() for pixels in drawn)
    assert np.array_equal(drawn[7], draw(7))
    assert not np.array_equal(drawn[0], drawn[1])
    if modality is Modality.SAR:
        assert all(np.array_equal(pixels[0], pixels[2]) for pixels in drawn)
