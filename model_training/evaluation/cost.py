"""Estimate the computing cost of a training run before it is started.

The multiplications and additions of the network are counted, and the preparation of a batch is
timed on one core of this machine. The larger of both is a lower bound of a run's duration:
decoding, validation and checkpoints come on top. Nothing is trained and no data are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model_training.data.transforms import Pose, augmented_sample
from model_training.encoder import build_encoder
from model_training.encoder.config import PlacedConfig
from model_training.encoder.train_config import EncoderTrainConfig, PairObjective
from model_training.training.config import ConfigError, load_config
from model_training.translator.dataset import PairedViews, draw_batch
from model_training.translator.train import TranslatorConfig
from model_training.translator.unet import BridgeUNet
from service.contract.chip import Modality

TRAINING_PASSES = 3  # forward, and backward to inputs and to weights, each as much as forward
TYPICAL_CHIP = (300, 62)  # rows and columns of a HOSS optical chip of about median size
TIMED_ITEMS = 32  # chips or pairs whose preparation is timed


@dataclass(frozen=True, slots=True)
class Cost:
    """The computing cost of one run.

    Attributes:
        items: chips (encoder) or pairs (translator) that are trained on, repeats counted.
        forward_flop: floating-point operations of one item's forward pass.
        prepare_s: seconds of one core to prepare one item.
        workers: processes that prepare items; at least one.
    """

    items: int
    forward_flop: int
    prepare_s: float
    workers: int

    @property
    def training_flop(self) -> float:
        """Return the floating-point operations of the whole run."""
        return float(TRAINING_PASSES * self.forward_flop * self.items)

    def device_minutes(self, tflops: float) -> float:
        """Return the minutes of arithmetic at `tflops`, 10^12 operations per second."""
        return self.training_flop / (tflops * 1e12) / 60

    @property
    def prepare_minutes(self) -> float:
        """Return the minutes of preparing all items."""
        return self.items * self.prepare_s / self.workers / 60


def cost_of(config: EncoderTrainConfig | TranslatorConfig) -> Cost:
    """Return the cost of a run on one device."""
    workers = max(1, config.run.loader_workers)
    if isinstance(config, EncoderTrainConfig):
        chips = config.run.steps * _chips_per_step(config)
        return Cost(chips, _encoder_flop(config), _encoder_prepare_s(config), workers)
    pairs = config.run.steps * config.batch
    return Cost(pairs, _translator_flop(config), _translator_prepare_s(config), workers)


def _chips_per_step(config: EncoderTrainConfig) -> int:
    objective = config.objective
    if isinstance(objective, PairObjective):
        return 2 * objective.pairs
    return objective.identities * objective.chips


def _encoder_flop(config: EncoderTrainConfig) -> int:
    """Count one chip as served (both sensors' stems), without the pass over its mirror image."""
    encoder, spec = config.encoder, config.encoder.preprocess
    if isinstance(encoder, PlacedConfig):
        encoder = encoder.model_copy(update={"mirror_average": False})
    with torch.device("meta"):
        pixels = torch.empty(1, 3, spec.height, spec.width)
        inputs = (pixels, torch.zeros(1, dtype=torch.int64), torch.empty(1, 3))
        return _forward_flop(build_encoder(encoder).eval(), *inputs)


def _translator_flop(config: TranslatorConfig) -> int:
    unet = config.unet
    with torch.device("meta"):
        x_t = torch.empty(1, unet.channels, unet.height, unet.width)
        condition = torch.empty(1, 3, unet.height, unet.width)
        return _forward_flop(BridgeUNet(unet), x_t, condition, torch.zeros(1, dtype=torch.int64))


def _forward_flop(module: nn.Module, *inputs: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return int(counter.get_total_flops())


def _encoder_prepare_s(config: EncoderTrainConfig) -> float:
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (*TYPICAL_CHIP, 3), np.uint8)
    spec = config.encoder.preprocess
    started = perf_counter()
    for number in range(TIMED_ITEMS):
        sensor = (Modality.OPTICAL, Modality.SAR)[number % 2]
        augmented_sample(picture, sensor, 0.75, spec, config.augment, Pose(), generator)
    return (perf_counter() - started) / TIMED_ITEMS


def _translator_prepare_s(config: TranslatorConfig) -> float:
    generator = np.random.default_rng(0)
    shape = (TIMED_ITEMS, config.unet.height, config.unet.width, 3)
    pictures, vessels = generator.integers(0, 256, shape, np.uint8), np.arange(TIMED_ITEMS)
    views = PairedViews(pictures, vessels, pictures, vessels)
    started = perf_counter()
    draw_batch(views, config.bridge, config.unet.channels, TIMED_ITEMS, generator)
    return (perf_counter() - started) / TIMED_ITEMS


def read_config(path: Path) -> EncoderTrainConfig | TranslatorConfig:
    """Read the config of an encoder or translator run; raise ConfigError if it is neither."""
    try:
        return load_config(path, EncoderTrainConfig)
    except ConfigError as encoder_error:
        try:
            return load_config(path, TranslatorConfig)
        except ConfigError:
            raise encoder_error from None


def cost_table(paths: Sequence[Path], tflops: float) -> str:
    """Return a Markdown table with a row per run: what it computes, and its minimal duration.

    Args:
        paths: configs of encoder or translator runs.
        tflops: what the device sustains, 10^12 operations per second.

    Raises:
        ConfigError: a file is no such config.
    """
    lines = [
        "| run | items | GFLOP each, forward | PFLOP | minutes, device | minutes, loaders |",
        "|---|---|---|---|---|---|",
    ]
    for path in paths:
        cost = cost_of(read_config(path))
        lines.append(
            f"| {path.stem} | {cost.items:,} | {cost.forward_flop / 1e9:.2f} "
            f"| {cost.training_flop / 1e15:.1f} | {cost.device_minutes(tflops):.1f} "
            f"| {cost.prepare_minutes:.1f} |"
        )
    return "\n".join(lines)
