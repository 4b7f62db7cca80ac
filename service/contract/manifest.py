"""The bundle's manifest: every number serving needs, and what each file must hash to."""

import itertools
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT_VERSION = 2

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
SensorName = Literal["optical", "sar"]
EvidenceName = Literal["similarity", "similarity_z", "length_log_ratio", "width_log_ratio"]


class Frozen(BaseModel):
    """Immutable; an unknown key is an error, and so is a number that is NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SizeTokenSpec(Frozen):
    """Constants of the size token (TransOSS, SSE); lengths in metres."""

    width_scale_m: Positive = 93.0
    width_mean: float = 0.434
    width_std: Positive = 0.031
    length_scale_m: Positive = 427.0
    length_mean: float = 0.461
    length_std: Positive = 0.031


class PreprocessSpec(Frozen):
    """How a chip becomes the encoder's input; the defaults are the published pipeline.

    `sar_exponent` is applied to resized SAR pictures in 0..1. `fixed` normalises with mean and
    std per channel; `per_chip` with the chip's own mean and standard deviation.
    """

    height: int = Field(256, ge=8, le=2048)
    width: int = Field(128, ge=8, le=2048)
    denoise_percentile: float = Field(5.0, ge=0, lt=100)
    sar_exponent: float = Field(1.0, gt=0, le=4)
    normalisation: Literal["fixed", "per_chip"] = "fixed"
    mean: Triple = IMAGENET_MEAN
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD
    size_token: SizeTokenSpec = SizeTokenSpec()


class TensorSpec(Frozen):
    """Name, dtype and shape of a graph's input or output; a string names a free axis."""

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[int | str, ...]


class GraphSpec(Frozen):
    """One ONNX file and the tensors it must have, in order."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: Literal["float32", "float16", "bfloat16", "int8"] = "float32"


class EncoderSpec(Frozen):
    """The encoder: pixels `[N,3,H,W]`, modality `[N]`, size `[N,3]` -> embedding `[N,D]`."""

    graph: GraphSpec
    embedding_width: int = Field(ge=1)
    optical_id: int = 0
    sar_id: int = 1

    @model_validator(mode="after")
    def _modalities_differ(self) -> "EncoderSpec":
        if self.optical_id == self.sar_id:
            raise ValueError(f"optical_id and sar_id must differ, both are {self.sar_id}")
        return self


class BridgeStepSpec(Frozen):
    """One reverse step, see `service.contract.bridge.BridgeStep`."""

    t: int
    a: float
    b: float
    c: float
    s: float


class TranslatorSpec(Frozen):
    """The bridge U-Net: x_t `[N,C,h,w]`, condition `[N,3,h,w]`, t `[N]` -> grad `[N,C,h,w]`.

    Pictures are scaled to -1..1. With one channel the bridge starts from the optical luminance,
    with three from the optical picture itself; the condition is always the optical picture.
    """

    graph: GraphSpec
    height: int = Field(ge=8)
    width: int = Field(ge=8)
    channels: Literal[1, 3]
    times: int = Field(1000, ge=2)
    max_variance: float = Field(1.0, gt=0)
    steps: tuple[BridgeStepSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _times_descend(self) -> "TranslatorSpec":
        visited = [step.t for step in self.steps]
        if not all(0 <= t < self.times for t in visited):
            raise ValueError(f"bridge steps must lie in 0..{self.times - 1}, got {visited}")
        if any(later >= earlier for earlier, later in itertools.pairwise(visited)):
            raise ValueError(f"bridge steps must descend in time, got {visited}")
        return self


class FusionSpec(Frozen):
    """How many pseudo-SAR pictures an optical chip gets, and their weight."""

    samples: int = Field(0, ge=0, le=64)
    alpha: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _samples_and_weight_agree(self) -> "FusionSpec":
        if (self.samples == 0) != (self.alpha == 0):
            raise ValueError("fusion needs both samples and alpha above zero, or both zero")
        return self


class LogisticSpec(Frozen):
    """P = sigmoid(bias + sum of weight x evidence); see `service.contract.calibration`."""

    bias: float
    weights: dict[EvidenceName, float]


class ChoiceSpec(Frozen):
    """How candidates compete with each other and with none of them; see `contract.choice`.

    A candidate's score is the sum of weight x evidence, that of none is
    `none_bias + none_log_gallery x ln(vessels searched)`.
    """

    weights: dict[EvidenceName, float]
    none_bias: float
    none_log_gallery: float = Field(ge=0)


class OpenSetPoint(Frozen):
    """Measured: identification rate at a false-identification rate, for one gallery size."""

    gallery_vessels: int
    false_identification_rate: float
    identification_rate: float
    identification_low: float
    identification_high: float
    threshold: float


class SimilarityCounts(Frozen):
    """How similar the first candidates of replayed searches were, counted in classes.

    Attributes:
        query: sensor of the chips that asked.
        gallery: sensor of the chips that were searched.
        gallery_vessels: vessels in the gallery.
        enrolled: searches by class whose vessel stood in the gallery.
        not_enrolled: searches by class whose vessel did not.
    """

    query: SensorName
    gallery: SensorName
    gallery_vessels: int = Field(ge=1)
    enrolled: tuple[Count, ...]
    not_enrolled: tuple[Count, ...]


class SimilaritySpec(Frozen):
    """The similarities that the calibration saw: what live ones are compared with.

    `edges` are the inclusive upper ends of the classes, ascending; each count has one class more,
    for what lies above them all.
    """

    edges: tuple[float, ...] = Field(min_length=1)
    searches: tuple[SimilarityCounts, ...]

    @model_validator(mode="after")
    def _classes_fit(self) -> "SimilaritySpec":
        if any(later <= earlier for earlier, later in itertools.pairwise(self.edges)):
            raise ValueError(f"similarity edges must ascend, got {self.edges}")
        wanted = len(self.edges) + 1
        for one in self.searches:
            if not len(one.enrolled) == len(one.not_enrolled) == wanted:
                raise ValueError(f"similarities must be counted in {wanted} classes")
        return self


class CalibrationSpec(Frozen):
    """Evidence -> probability, and the probabilities at which a verdict changes.

    `match` weighs the candidates of a gallery search, `verify` a lone pair of chips, both across
    sensors. The `_same_sensor` weights do so for two chips of one sensor; a bundle without them
    compares across sensors only. A top probability of at least `confident_from` is a confident
    match; below `no_match_below`, and below that of none of them, the honest answer is none.
    `similarities` may be absent: then nothing tells whether live similarities are those that the
    weights were fitted on.
    """

    match: ChoiceSpec
    verify: LogisticSpec
    match_same_sensor: ChoiceSpec | None = None
    verify_same_sensor: LogisticSpec | None = None
    confident_from: float = Field(ge=0, le=1)
    no_match_below: float = Field(ge=0, le=1)
    fitted_on: str
    operating_points: tuple[OpenSetPoint, ...] = ()
    similarities: SimilaritySpec | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "CalibrationSpec":
        if self.no_match_below > self.confident_from:
            raise ValueError("no_match_below must not exceed confident_from")
        return self


class Metric(Frozen):
    """One measured number with its 95 % interval, in per cent unless the name says otherwise."""

    dataset: str
    protocol: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    queries: int | None = None
    gallery: int | None = None


class EncoderRunSpec(Frozen):
    """The run that taught one encoder; a bundle may serve several encoders as one.

    Attributes:
        run: its name.
        steps: optimiser steps that it took.
        seed: of everything random in it.
        dataset: what it learnt from, named as in `TrainingSpec.datasets`.
        data_digest: hash of the training data.
        commit: of the code; None where it ran outside a repository.
    """

    run: str
    steps: int = Field(ge=0)
    seed: int
    dataset: str
    data_digest: str
    commit: str | None = None


class TrainingSpec(Frozen):
    """What the models were taught with; `domain` is shown with every answer.

    `encoders` are the runs behind the embedding, in the order in which its parts stand; older
    bundles name none. `commit` and `data_digest` are what all of them share, None otherwise.
    """

    domain: str
    description: str
    datasets: tuple[str, ...]
    commit: str | None = None
    data_digest: str | None = None
    seeds: tuple[int, ...] = ()
    encoders: tuple[EncoderRunSpec, ...] = ()


class FileSpec(Frozen):
    """What a file of the bundle must hash to."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class GoldenSpec(Frozen):
    """Chips whose embeddings are known; a bundle that does not reproduce them is refused.

    `chips` are files of the bundle named `*_RGB.tif` or `*_SAR.tif`; `embeddings` is an `.npy`
    float32 `[len(chips), D]` in the same order.
    """

    chips: tuple[str, ...]
    modalities: tuple[Literal["optical", "sar"], ...]
    gsd_m: tuple[float, ...]
    embeddings: str
    min_cosine: float = Field(0.999, gt=0, le=1)


class Manifest(Frozen):
    """`manifest.json`. `files` lists every file of the bundle but the manifest itself."""

    format_version: Literal[2] = 2
    name: str
    created_at: datetime
    method: str
    preprocess: PreprocessSpec
    encoder: EncoderSpec
    translator: TranslatorSpec | None = None
    fusion: FusionSpec = FusionSpec()
    calibration: CalibrationSpec
    training: TrainingSpec
    metrics: tuple[Metric, ...] = ()
    licences: dict[str, str]
    golden: GoldenSpec
    model_card: str = "MODEL_CARD.md"
    files: dict[str, FileSpec]

    @model_validator(mode="after")
    def _parts_fit(self) -> "Manifest":
        if self.fusion.samples and self.translator is None:
            raise ValueError("fusion asks for pseudo-SAR pictures but there is no translator")
        named = {self.encoder.graph.file, self.golden.embeddings, self.model_card}
        named |= set(self.golden.chips)
        if self.translator is not None:
            named.add(self.translator.graph.file)
        missing = sorted(named - self.files.keys())
        if missing:
            raise ValueError(f"files are named but not listed with a hash: {missing}")
        if not len(self.golden.chips) == len(self.golden.modalities) == len(self.golden.gsd_m):
            raise ValueError("golden chips, modalities and gsd_m differ in number")
        return self
