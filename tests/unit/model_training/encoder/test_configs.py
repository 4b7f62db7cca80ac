"""The shipped encoder configs are valid and build their encoders."""

import pytest
import torch

from model_training.encoder import build_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.config import load_config
from tests.support.paths import TRAINING_CONFIGS

NAMES = (
    "simulation-compact",
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
    followers = [config for config in configs.values() if config.initial is not None]
    assert len(followers) == 2
    for config in followers:
        assert config.initial is not None
        before = outs[config.initial.parent]
        assert config.initial.name == ("best.pt" if before.run.select_by else "checkpoint.pt")
        encoders = (before.encoder, config.encoder)
        common = [
            encoder.model_dump(exclude={"size_token", "mirror_average"}) for encoder in encoders
        ]
        assert common[0] == common[1]
