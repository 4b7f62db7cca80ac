"""The shipped encoder configs are valid and build their encoders."""

from pathlib import Path

import pytest
import torch

from model_training.data.transforms import GeometryConfig
from model_training.encoder import ReferenceConfig, build_encoder
from model_training.encoder.train_config import EncoderTrainConfig, PairObjective
from model_training.training.config import load_config
from tests.support.paths import TRAINING_CONFIGS

PUBLISHED = Path("data/vit_base_patch16_224.pth")
NAMES = (
    "simulation-compact",
    "simulation-lite",
    "simulation-compact-mined",
    "simulation-compact-mined-2",
    "simulation-lite-late",
    "simulation-lite-late-2",
    "simulation-lite-late-3",
    "simulation-vit",
    "hoss-pretrain-reference",
    "hoss-reference",
    "hoss-compact",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_loads_and_its_encoder_can_be_built(name: str) -> None:
    config = load_config(TRAINING_CONFIGS / f"{name}.yaml", EncoderTrainConfig)
    with torch.device("meta"):
        encoder = build_encoder(config.encoder)
    assert encoder.config == config.encoder


def test_the_initial_checkpoint_of_a_shipped_config_is_that_of_another_shipped_config() -> None:
    configs = {
        name: load_config(TRAINING_CONFIGS / f"{name}.yaml", EncoderTrainConfig) for name in NAMES
    }
    outs = {config.run.out: config for config in configs.values()}
    followers = [
        config
        for config in configs.values()
        if config.initial is not None and config.initial != PUBLISHED
    ]
    assert len(followers) == 7
    for config in followers:
        assert config.initial is not None
        before = outs[config.initial.parent]
        assert config.initial.name == ("best.pt" if before.run.select_by else "checkpoint.pt")
        encoders = (before.encoder, config.encoder)
        common = [
            encoder.model_dump(exclude={"size_token", "mirror_average", "dropout"})
            for encoder in encoders
        ]
        assert common[0] == common[1]


@pytest.mark.parametrize(
    ("name", "epochs", "batches", "chips", "lr"),
    [("hoss-pretrain-reference", 60, 133, 512, 3e-3), ("hoss-reference", 100, 45, 32, 5e-4)],
)
def test_the_reference_configs_follow_the_released_recipe(
    name: str, epochs: int, batches: int, chips: int, lr: float
) -> None:
    config = load_config(TRAINING_CONFIGS / f"{name}.yaml", EncoderTrainConfig)
    assert config.run.steps == epochs * batches
    assert config.run.ema_decay == 0
    optimiser = config.optimiser
    assert (optimiser.kind, optimiser.schedule, optimiser.lr) == ("sgd", "epoch_cosine", lr)
    assert (optimiser.momentum, optimiser.weight_decay, optimiser.bias_lr_factor) == (0.9, 1e-4, 2)
    assert (optimiser.epoch_steps, optimiser.warmup_steps) == (batches, 5 * batches)
    assert (optimiser.final_fraction, optimiser.clip_norm) == (0.002, None)
    objective = config.objective
    paired = isinstance(objective, PairObjective)
    if isinstance(objective, PairObjective):
        assert chips == 2 * objective.pairs
    else:
        assert chips == objective.identities * objective.chips
    assert isinstance(config.encoder, ReferenceConfig)
    assert config.encoder.drop_path == 0.1
    assert config.encoder.size_token != paired
    augment = config.augment
    assert augment.resize == "bicubic"
    expected = GeometryConfig(
        crop_along=0, crop_across=0, tilt=0, size_noise=0, half_turn=0, turn_apart=0, pad=10
    )
    assert augment.geometry == expected
    assert augment.geometry.mirror == 0.5
    assert augment.appearance.model_dump() == {
        "optical": 0,
        "sar": 0,
        "erase": 0.5,
        "erase_with": "noise",
    }
