"""The schema of a bundle's manifest: all parameters of serving, and the hash of each file."""

import itertools
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contract.bridge import BridgeStep
from service.contract.weighing.base import ManifestPart
from service.contract.weighing.specs import CalibrationSpec

FORMAT_VERSION = 2

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class SizeTokenSpec(ManifestPart):
    """Constants of the size token (TransOSS, SSE); lengths in metres."""

    width_scale_m: Positive = 93.0
    width_mean: float = 0.434
    width_std: Positive = 0.031
    length_scale_m: Positive = 427.0
    length_mean: float = 0.461
    length_std: Positive = 0.031


class PreprocessSpec(ManifestPart):
    """Parameters of the preprocessing; the defaults are the published pipeline (MOS, TransOSS).

    `denoise_percentile` of a SAR chip becomes 0; None keeps 0 at 0, as TransOSS reads SAR.
    `sar_exponent` is applied to resized SAR pictures in 0..1. The normalisation `fixed` uses `mean`
    and `std` per channel; `per_chip` uses the chip's own mean and standard deviation.
    """

    height: int = Field(256, ge=8, le=2048)
    width: int = Field(128, ge=8, le=2048)
    denoise_percentile: float | None = Field(5.0, ge=0, lt=100)
    sar_exponent: float = Field(1.0, gt=0, le=4)
    normalisation: Literal["fixed", "per_chip"] = "fixed"
    mean: Triple = IMAGENET_MEAN
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD
    size_token: SizeTokenSpec = SizeTokenSpec()


class TensorSpec(ManifestPart):
    """Name, dtype and shape of a graph's input or output; a string names a free axis."""

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[int | str, ...]


class GraphSpec(ManifestPart):
    """One ONNX file and the tensors it must have, in order."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: Literal["float32", "float16", "int8"] = "float32"


class RoundedGraphSpec(ManifestPart):
    """A graph of the encoder with rounded numbers, which one device runs instead of the full one.

    Its tensors are those of the full graph.

    Attributes:
        min_cosine: the service refuses the bundle if the cosine of a golden embedding by this graph
            to that by the full graph is lower.
        map_change: mAP of this graph minus that of the full graph on the ships `measured_on`, in
            points of per cent, by direction; negative for a loss.
        measured_on: the validation ships, in words.
        times_faster: time of the full graph over that of this graph, on this device.
    """

    device: Literal["cpu", "cuda"]
    file: str
    precision: Literal["float16", "int8"]
    min_cosine: float = Field(gt=0, le=1)
    map_change: dict[Literal["S2O", "O2S"], float]
    measured_on: str
    times_faster: Positive


class EncoderSpec(ManifestPart):
    """The encoder: pixels `[N,3,H,W]`, modality `[N]`, size `[N,3]` -> embedding `[N,D]`."""

    graph: GraphSpec
    rounded: tuple[RoundedGraphSpec, ...] = ()
    embedding_width: int = Field(ge=1)
    optical_id: int = 0
    sar_id: int = 1

    def rounded_for(self, device: str) -> RoundedGraphSpec | None:
        """Return the rounded graph that a device runs; None: it runs the full graph."""
        return next((rounded for rounded in self.rounded if rounded.device == device), None)

    def graph_for(self, device: str) -> GraphSpec:
        """Return the graph that a device runs."""
        rounded = self.rounded_for(device)
        if rounded is None:
            return self.graph
        return self.graph.model_copy(update=rounded.model_dump(include={"file", "precision"}))

    @model_validator(mode="after")
    def _one_rounded_graph_a_device(self) -> "EncoderSpec":
        devices = [rounded.device for rounded in self.rounded]
        if len(devices) != len(set(devices)):
            raise ValueError(f"there may be one rounded graph for each device, got {devices}")
        return self

    @model_validator(mode="after")
    def _modalities_differ(self) -> "EncoderSpec":
        if self.optical_id == self.sar_id:
            raise ValueError(f"optical_id and sar_id must differ, both are {self.sar_id}")
        return self


class TranslatorSpec(ManifestPart):
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
    steps: tuple[BridgeStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _times_descend(self) -> "TranslatorSpec":
        visited = [step.t for step in self.steps]
        if not all(0 <= t < self.times for t in visited):
            raise ValueError(f"bridge steps must lie in 0..{self.times - 1}, got {visited}")
        if any(later >= earlier for earlier, later in itertools.pairwise(visited)):
            raise ValueError(f"bridge steps must descend in time, got {visited}")
        return self


class FusionSpec(ManifestPart):
    """The number of pseudo-SAR pictures per optical chip, and the weight of their mean."""

    samples: int = Field(0, ge=0, le=64)
    alpha: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _samples_and_weight_agree(self) -> "FusionSpec":
        if (self.samples == 0) != (self.alpha == 0):
            raise ValueError("fusion needs both samples and alpha above zero, or both zero")
        return self


class Metric(ManifestPart):
    """A measured value with its 95 % interval, in per cent unless the name says otherwise."""

    dataset: str
    protocol: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    queries: int | None = None
    gallery: int | None = None


class EncoderRunSpec(ManifestPart):
    """The run that trained one encoder; a bundle may combine several encoders in one.

    Attributes:
        dataset: the training data, named as in `TrainingSpec.datasets`.
        commit: commit of the code; None for a run outside a repository.
    """

    run: str
    steps: int = Field(ge=0)
    seed: int
    dataset: str
    data_digest: str
    commit: str | None = None


def learnt_from_simulation_alone(domain: str) -> bool:
    """Whether all ships of a training domain are simulated; ImageNet, of a start, has no ships."""
    return set(domain.split("+")) <= {"simulated", "imagenet"}


class TrainingSpec(ManifestPart):
    """The training of the models; `domain` is part of every response.

    `encoders` are the runs of the encoders, in the order of their parts of the embedding; empty for
    an imported model. `commit` and `data_digest` are None unless all encoders have the same.
    """

    domain: str
    description: str
    datasets: tuple[str, ...]
    commit: str | None = None
    data_digest: str | None = None
    seeds: tuple[int, ...] = ()
    encoders: tuple[EncoderRunSpec, ...] = ()


class FileSpec(ManifestPart):
    """The hash and the size of a file."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class GoldenSpec(ManifestPart):
    """Chips with known embeddings; a bundle that does not reproduce them is rejected.

    `chips` are files of the bundle named `*_RGB.tif` or `*_SAR.tif`; `embeddings` is an `.npy`
    float32 `[len(chips), D]` in the same order.
    """

    chips: tuple[str, ...]
    modalities: tuple[Literal["optical", "sar"], ...]
    gsd_m: tuple[float, ...]
    embeddings: str
    min_cosine: float = Field(0.999, gt=0, le=1)


class Manifest(ManifestPart):
    """The content of `manifest.json`; `files` lists every file of the bundle but the manifest."""

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
            raise ValueError("fusion needs pseudo-SAR pictures but there is no translator")
        named = {self.encoder.graph.file, self.golden.embeddings, self.model_card}
        named |= {*self.golden.chips, *(rounded.file for rounded in self.encoder.rounded)}
        if self.translator is not None:
            named.add(self.translator.graph.file)
        missing = sorted(named - self.files.keys())
        if missing:
            raise ValueError(f"files are named but not listed with a hash: {missing}")
        if not len(self.golden.chips) == len(self.golden.modalities) == len(self.golden.gsd_m):
            raise ValueError("golden chips, modalities and gsd_m differ in number")
        return self
