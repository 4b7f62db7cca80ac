"""Train the translator: `crossfix-train translator CONFIG`."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, model_validator
from torch import Tensor, nn

from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import HossData, PairData, SimulatedData
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import RunConfig, TypedConfig, without_former_options
from model_training.training.optimiser import OptimiserConfig
from model_training.training.run import fit
from model_training.training.seeds import step_generator, step_seed
from model_training.translator.dataset import PairedViews, draw_batch, views_of_store
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, bridge_loss
from model_training.translator.study import study_sampler
from model_training.translator.unet import BridgeUNet, UNetConfig
from service.contract.bridge import BridgeStep
from service.contract.manifest import PreprocessSpec

VALIDATION_VESSELS = 64
"""Vessels that a validation samples, of those that the data hold out."""

# The bridge's chips are denoised by the published percentile, regardless of the encoder's.
SPEC = PreprocessSpec()


class TranslatorConfig(TypedConfig):
    """The config of one translator run.

    Data sections are those of encoder configs and give the same validation vessels. `initial` is a
    translator checkpoint whose averaged weights are the start, e.g. after pretraining on
    co-registered pairs.
    """

    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    unet: UNetConfig = UNetConfig()
    bridge: BridgeConfig = BridgeConfig()
    data: Annotated[SimulatedData | HossData | PairData, Field(discriminator="kind")]
    batch: int = Field(32, ge=1)
    zoom: float = Field(0.0, ge=0, lt=1, description="largest share of a side that pairs lose")
    initial: Path | None = None


class DistilConfig(TranslatorConfig):
    """The config of one distillation run, see `model_training.translator.distil`.

    `initial` is the teacher, which samples in `teacher_steps` steps without noise. The student
    starts with the teacher's weights and learns to sample in `bridge.steps` steps without noise.
    """

    initial: Path
    teacher_steps: int = Field(ge=2)

    @model_validator(mode="after")
    def _require_matching_steps(self) -> "DistilConfig":
        steps = self.bridge.steps
        if self.bridge.eta != 0:
            raise ValueError(
                f"a distilled student samples without noise: set bridge.eta to 0, not "
                f"{self.bridge.eta:g}"
            )
        if steps >= self.teacher_steps:
            raise ValueError(
                f"bridge.steps ({steps}) must be less than teacher_steps ({self.teacher_steps})"
            )
        own, teachers = self.bridge.step_times(), self.bridge.step_times(self.teacher_steps)
        extra = set(own) - set(teachers)
        if extra:
            raise ValueError(
                f"the student calls at times {sorted(extra)}, where the teacher does not; let "
                f"teacher_steps be a multiple of bridge.steps"
            )
        return self


_ANY_RUN: TypeAdapter[DistilConfig | TranslatorConfig] = TypeAdapter(
    DistilConfig | TranslatorConfig
)


@dataclass(frozen=True, slots=True)
class LoadedTranslator:
    """A translator ready to sample from or to export.

    Attributes:
        module: in eval mode, averaged weights, on the CPU.
        metadata: data digest, commit, steps done and validation metrics.
    """

    module: BridgeUNet
    config: TranslatorConfig
    metadata: dict[str, Any]

    @property
    def height(self) -> int:
        """Rows of the bridge's pictures."""
        return self.config.unet.height

    @property
    def width(self) -> int:
        """Columns of the bridge's pictures."""
        return self.config.unet.width

    def table(self, steps: int | None = None) -> list[BridgeStep]:
        """Return the coefficients of the sampler; None takes the steps that it was trained for."""
        return self.config.bridge.table(steps)


def load_translator(path: Path) -> LoadedTranslator:
    """Read a checkpoint of `train_translator` or of `distil_translator`.

    Raises:
        FileNotFoundError: there is no file.
        ValueError: the file is not a checkpoint of a translator.
    """
    try:
        stored = Checkpoint.load(path)
        config = _ANY_RUN.validate_python(without_former_options(stored.config))
        module = BridgeUNet(config.unet)
        module.load_state_dict(stored.ema)
    except (
        *(ValueError, RuntimeError, TypeError, LookupError),
        *(EOFError, pickle.UnpicklingError),  # of torch.load
    ) as error:
        raise ValueError(f"{path} is not a checkpoint of a translator") from error
    metadata = {
        "data_digest": stored.data_digest,
        "commit": stored.commit,
        "step": stored.step,
        "metrics": stored.metrics,
    }
    return LoadedTranslator(module.eval(), config, metadata)


class TranslatorTask:
    """The training of a translator: the bridge's loss on random pairs of training vessels.

    Validation samples other vessels as the service would and reports the grey-level difference and
    `pair_auc` of `model_training.translator.study`.
    """

    def __init__(
        self, config: TranslatorConfig, training: PairedViews, validation: PairedViews, digest: str
    ) -> None:
        self.config = config
        self.data_digest = digest
        self.training = training
        self.validation = validation.only(validation.vessels[:VALIDATION_VESSELS])
        torch.manual_seed(step_seed(config.run.seed, -1))
        self.model: nn.Module = BridgeUNet(config.unet)
        if config.initial is not None:
            self.model.load_state_dict(load_translator(config.initial).module.state_dict())
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch(self, step: int, rank: int) -> BridgeBatch:
        """Draw the batch of a step."""
        rng = step_generator(self.config.run.seed, step, rank)
        config = self.config
        channels = config.unet.channels
        return draw_batch(
            self.training, config.bridge, channels, config.batch, rng, zoom=config.zoom
        )

    def loss(self, model: nn.Module, batch: BridgeBatch) -> dict[str, Tensor]:
        """Return the bridge's loss as `loss`."""
        device = next(model.parameters()).device
        return {"loss": bridge_loss(model, self.config.bridge, batch.to(device))}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return `sample_l1` in grey levels and `pair_auc` on the validation vessels."""
        assert isinstance(model, BridgeUNet)
        bridge = self.config.bridge
        (quality,) = study_sampler(model, bridge, self.validation, [bridge.steps], [1])
        return {"sample_l1": quality.l1, "pair_auc": quality.pair_auc}


def train_translator(config: TranslatorConfig) -> Checkpoint:
    """Start or continue the run of a config; see `model_training.training.run.fit`.

    Raises:
        StoreError: the cache holds other data, or there are too few vessels.
        DatasetError: a source folder cannot be used.
    """
    return fit(TranslatorTask(config, *open_views(config)), config.run, config.optimiser, config)


def open_views(config: TranslatorConfig) -> tuple[PairedViews, PairedViews, str]:
    """Read the views that a run trains and validates on, and the digest of the former."""
    stores = open_stores(config.data, SPEC)
    size = (config.unet.height, config.unet.width)
    training, validation = (views_of_store(s, *size) for s in (stores.train, stores.validation))
    return training, validation, stores.digest


def validation_views(config: TranslatorConfig) -> PairedViews:
    """Read the views of the vessels that a run validated on."""
    stores = open_stores(config.data, SPEC)
    return views_of_store(stores.validation, config.unet.height, config.unet.width)
