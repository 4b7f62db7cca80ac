"""`crossfix-train encoder`, `translator`, `distil` and `cost`: train models from YAML configs."""

from pathlib import Path
from typing import Annotated

import typer

from model_training.cli.common import ConfigArgument, exit_on_error, run_errors


def encoder(config: ConfigArgument) -> None:
    """Train an encoder, or continue a run that was stopped."""
    from model_training.encoder.train import train_encoder
    from model_training.encoder.train_config import EncoderTrainConfig
    from model_training.training.config import load_config

    with exit_on_error(*run_errors()):
        train_encoder(load_config(config, EncoderTrainConfig))


def translator(config: ConfigArgument) -> None:
    """Train the optical-to-SAR translator, or continue a run that was stopped."""
    from model_training.training.config import load_config
    from model_training.translator.train import TranslatorConfig, train_translator

    with exit_on_error(*run_errors()):
        train_translator(load_config(config, TranslatorConfig))


def distil(config: ConfigArgument) -> None:
    """Distil a translator into one that needs fewer steps, or continue a run that was stopped."""
    from model_training.training.config import load_config
    from model_training.translator.distil import distil_translator
    from model_training.translator.train import DistilConfig

    with exit_on_error(*run_errors()):
        distil_translator(load_config(config, DistilConfig))


def cost(
    configs: Annotated[list[Path], typer.Argument(help="Configs of encoders or translators.")],
    tflops: Annotated[
        float, typer.Option(help="What the device sustains, 10^12 operations per second.", min=1e-3)
    ] = 100.0,
) -> None:
    """Estimate what training runs compute and the least time that they take; train nothing."""
    from model_training.evaluation.cost import cost_table
    from model_training.training.config import ConfigError

    with exit_on_error(ConfigError):
        print(cost_table(configs, tflops))
