"""The typed config of one encoder run: `crossfix-train encoder CONFIG`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from model_training.data.simulated import FleetConfig
from model_training.data.transforms import AugmentConfig
from model_training.encoder.config import EncoderConfig, LiteConfig
from model_training.training.config import RunConfig, TypedConfig
from model_training.training.optimiser import OptimiserConfig


class SimulatedData(FleetConfig):
    """A simulated fleet, rendered on first use."""

    kind: Literal["simulated"]


class HossData(TypedConfig):
    """A folder in HOSS layout; a share of the training identities is held out for validation.

    The decoded chips are kept in `cache`.
    """

    kind: Literal["hoss"]
    folder: Path
    cache: Path
    validation_share: float = Field(0.15, gt=0, lt=1)
    split_seed: int = Field(0, ge=0)


class PairData(TypedConfig):
    """A folder of optical-SAR picture pairs, see `model_training.data.pairs`."""

    kind: Literal["pairs"]
    folder: Path
    cache: Path
    validation_share: float = Field(0.02, gt=0, lt=1)
    split_seed: int = Field(0, ge=0)


class ArchiveData(TypedConfig):
    """Confirmed ships, mixed with simulated ones so that what was learnt before stays.

    `folder` is in HOSS layout, as `crossfix export-dataset` writes it; its decoded chips are kept
    in `cache`. The share `archive_share` of the pairs of a batch are ships of the archive, as far
    as there are so many; the others are ships of `replay`. The share `validation_share` of the
    archive's ships with chips of both sensors is held out: those with the lowest hash of their id
    and `split_seed`, so that nearly the same ships are held out when the archive has grown.
    """

    kind: Literal["archive"]
    folder: Path
    cache: Path
    replay: FleetConfig
    archive_share: float = Field(0.5, gt=0, lt=1)
    validation_share: float = Field(0.25, gt=0, lt=1)
    split_seed: int = Field(0, ge=0)


class BundleData(TypedConfig):
    """What a bundle says of the data of an encoder that was read out of it.

    The chips themselves are not at hand: such a checkpoint is a start for other runs (`initial`).
    `domain` and `dataset` are those of the bundle's manifest.
    """

    kind: Literal["bundle"]
    bundle_id: str
    domain: str
    dataset: str


class PairObjective(TypedConfig):
    """InfoNCE over optical-SAR pairs, with the deck layout as auxiliary target.

    The share `hard_share` of a batch are groups of eight ships of one type and similar length, the
    share `sister_share` are sisters; both are reached linearly after `hard_ramp_steps`. `layout` is
    the weight of the auxiliary loss; it requires simulated data. With several processes each draws
    `pairs`, and InfoNCE contrasts the pairs of all of them.

    The share `mined_share` are groups of ships that the present encoder takes for each other. They
    are searched at the first step and again every `mined_refresh_steps`.
    """

    kind: Literal["pairs"]
    pairs: int = Field(64, ge=2)
    hard_share: float = Field(0.5, ge=0, le=1)
    sister_share: float = Field(0.0, ge=0, le=1)
    mined_share: float = Field(0.0, ge=0, le=1)
    mined_refresh_steps: int = Field(500, ge=1)
    hard_ramp_steps: int = Field(1000, ge=0)
    layout: float = Field(0.0, ge=0)
    initial_logit_scale: float = Field(10.0, gt=0)


class IdentityObjective(TypedConfig):
    """MCRL of MOS: cross-entropy on the BN neck, batch-hard triplet, CMAL; batches of P x K.

    `alignment` is the weight of CMAL; those of the other two are 1, as published.

    With several processes each draws P x K chips and compares only its own.
    """

    kind: Literal["identities"]
    identities: int = Field(8, ge=2)
    chips: int = Field(4, ge=2, multiple_of=2)
    alignment: float = Field(2.0, ge=0)


EncoderData = Annotated[
    SimulatedData | HossData | PairData | ArchiveData | BundleData, Field(discriminator="kind")
]


class EarlyFeatures(TypedConfig):
    """Where the features of the early layers are stored, so that only the late layers are trained.

    The early layers are those of the lite encoder up to stride 8; they keep the weights of
    `initial`. A chip of 256 x 64 pixels takes 20 kB.
    """

    folder: Path


class EncoderTrainConfig(TypedConfig):
    """The config of an encoder run.

    `initial` is a file of encoder weights to start from: a checkpoint of an earlier run, whose
    averaged weights are taken, or, for the reference encoder, published weights of TransOSS, MOS or
    ImageNet (see `model_training.encoder.published`). Head and classifier start from their usual
    initialisation.
    """

    run: RunConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    encoder: EncoderConfig
    data: EncoderData
    objective: Annotated[PairObjective | IdentityObjective, Field(discriminator="kind")]
    augment: AugmentConfig = AugmentConfig()
    initial: Path | None = None
    early_features: EarlyFeatures | None = None

    @model_validator(mode="after")
    def _require_a_fixed_fleet(self) -> "EncoderTrainConfig":
        """Mined ships and stored features are those of one fleet, read by the training process."""
        objective, run = self.objective, self.run
        pairs = objective if isinstance(objective, PairObjective) else None
        mined = pairs is not None and pairs.mined_share > 0
        if self.early_features is None and not mined:
            return self
        named = "early_features" if self.early_features is not None else "mined_share"
        grows = isinstance(self.data, SimulatedData) and self.data.initial_vessels is not None
        if pairs is None or grows or isinstance(self.data, ArchiveData):
            raise ValueError(f"{named} needs pairs of a fleet that neither grows nor replays")
        if run.loader_workers:
            raise ValueError(f"{named} needs loader_workers 0: the training process draws batches")
        if mined and pairs.mined_refresh_steps % run.checkpoint_every:
            raise ValueError("mined_refresh_steps must be a multiple of run.checkpoint_every")
        fits = isinstance(self.encoder, LiteConfig) and self.initial is not None
        if self.early_features is not None and not fits:
            raise ValueError("early_features needs an encoder of kind lite and its `initial`")
        return self
