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
from model_training.training.config import RunConfig, TypedConfig
from model_training.training.optimiser import OptimiserConfig
from model_training.training.run import fit
from model_training.training.seeds import step_generator, step_seed
from model_training.translator.dataset import PairedViews, draw_batch, views_of_store
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, bridge_loss
from model_training.translator.study import study_sampler
from model_training.translator.unet import BridgeUNet, UNetConfig
from service.contract.bridge import step_times
from service.contract.manifest import PreprocessSpec

# The chips reach the bridge denoised by the published percentile, whatever the encoder uses.
SPEC = PreprocessSpec()


class TranslatorConfig(TypedConfig):
    """One translator run.

    The data are those of the encoder's runs, with the same validation vessels. `initial` is a
    translator checkpoint whose averaged weights are taken as the start, e.g. pretraining on
    co-registered pairs before ships.
    """

    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    unet: UNetConfig = UNetConfig()
    bridge: BridgeConfig = BridgeConfig()
    data: Annotated[SimulatedData | HossData | PairData, Field(discriminator="kind")]
    batch: int = Field(32, ge=1)
    validation_vessels: int = Field(64, ge=2, description="how many validate during training")
    initial: Path | None = None


class DistilConfig(TranslatorConfig):
    """One run that teaches a student fewer steps, see `model_training.translator.distil`.

    `initial` is the teacher, which walks `teacher_steps` without noise; the student starts with
    its weights and learns to walk `bridge.steps`, without noise too.
    """

    initial: Path
    teacher_steps: int = Field(ge=2)

    @model_validator(mode="after")
    def _walks_fit(self) -> "DistilConfig":
        times, steps = self.bridge.times, self.bridge.steps
        if self.bridge.eta != 0:
            raise ValueError(
                f"a distilled student walks without noise: set bridge.eta to 0, not "
                f"{self.bridge.eta:g}"
            )
        if steps >= self.teacher_steps:
            raise ValueError(
                f"a student of {steps} steps has nothing to learn from {self.teacher_steps}"
            )
        apart = set(step_times(times, steps)) - set(step_times(times, self.teacher_steps))
        if apart:
            raise ValueError(
                f"the student calls at times {sorted(apart)}, where the teacher does not; let "
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
        config: of its run.
        metadata: data digest, commit, steps done and validation metrics.
    """

    module: BridgeUNet
    config: TranslatorConfig
    metadata: dict[str, Any]

    @property
    def height(self) -> int:
        return self.config.unet.height

    @property
    def width(self) -> int:
        return self.config.unet.width

    @property
    def channels(self) -> int:
        return self.config.unet.channels

    @property
    def times(self) -> int:
        return self.config.bridge.times

    @property
    def max_variance(self) -> float:
        return self.config.bridge.max_variance

    @property
    def steps(self) -> int:
        """Network calls that the training was made for."""
        return self.config.bridge.steps

    @property
    def eta(self) -> float:
        return self.config.bridge.eta


def load_translator(path: Path) -> LoadedTranslator:
    """Read a checkpoint of `train_translator` or of `distil_translator`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is another one.
    """
    try:
        stored = Checkpoint.load(path)
        config = _ANY_RUN.validate_python(stored.config)
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
    """The bridge's loss on random pairs; validation on vessels that are never drawn.

    Validation samples as the service would and reports the grey-level difference and `pair_auc`
    of `model_training.translator.study`.
    """

    def __init__(
        self, config: TranslatorConfig, training: PairedViews, validation: PairedViews, digest: str
    ) -> None:
        self.config = config
        self.data_digest = digest
        self.training = training
        self.validation = validation.only(validation.vessels[: config.validation_vessels])
        torch.manual_seed(step_seed(config.run.seed, -1))
        self.model: nn.Module = BridgeUNet(config.unet)
        if config.initial is not None:
            self.model.load_state_dict(load_translator(config.initial).module.state_dict())
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch(self, step: int, rank: int) -> BridgeBatch:
        rng = step_generator(self.config.run.seed, step, rank)
        channels = self.config.unet.channels
        return draw_batch(self.training, self.config.bridge, channels, self.config.batch, rng)

    def loss(self, model: nn.Module, batch: BridgeBatch, step: int) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        return {"loss": bridge_loss(model, self.config.bridge, batch.to(device))}

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, BridgeUNet)
        bridge = self.config.bridge
        (quality,) = study_sampler(model, bridge, self.validation, [bridge.steps], [1])
        return {"sample_l1": quality.l1, "pair_auc": quality.pair_auc}


def train_translator(config: TranslatorConfig) -> Checkpoint:
    """Train, or continue, the run of a config; see `model_training.training.run.fit`.

    Raises:
        StoreError: the cache holds something else, or there are too few vessels.
        DatasetError: a source folder cannot be used.
    """
    stores = open_stores(config.data, SPEC)
    size = (config.unet.height, config.unet.width)
    training, validation = (views_of_store(s, *size) for s in (stores.train, stores.validation))
    task = TranslatorTask(config, training, validation, stores.digest)
    return fit(task, config.run, config.optimiser, config)


def validation_views(config: TranslatorConfig) -> PairedViews:
    """The vessels that a run validated on, read again from its data."""
    stores = open_stores(config.data, SPEC)
    return views_of_store(stores.validation, config.unet.height, config.unet.width)
