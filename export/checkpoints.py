"""What trained checkpoints say of themselves, as parts of a bundle."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from export.build_bundle import EncoderPart, Precision, TranslatorPart
from model_training.checkpoint import Checkpoint
from model_training.encoder.loading import LoadedEncoder
from model_training.encoder.reference import ReferenceEncoder
from model_training.encoder.train_config import HossData, PairData, SimulatedData
from model_training.translator.train import LoadedTranslator
from service.contract.bridge import BridgeSchedule, coefficient_table
from service.contract.manifest import TrainingSpec

OFFICIAL_LICENCE = "as published by the authors of MOS and TransOSS; check before you pass it on"


def encoder_part(loaded: LoadedEncoder, precision: Precision = "float32") -> EncoderPart:
    """A trained encoder, ready to export."""
    return EncoderPart(
        module=loaded.module,
        preprocess=loaded.config.preprocess,
        embedding_width=loaded.config.embedding_width,
        precision=precision,
    )


def official_encoder_part(encoder: ReferenceEncoder) -> EncoderPart:
    """A published encoder with the published preprocessing."""
    config = encoder.config
    return EncoderPart(encoder, config.preprocess, config.embedding_width)


def translator_part(
    loaded: LoadedTranslator, steps: int | None = None, precision: Precision = "float32"
) -> TranslatorPart:
    """A trained translator, ready to export.

    Args:
        loaded: the checkpoint.
        steps: network calls per picture; None takes the number that it was trained for.
        precision: of the weights.
    """
    schedule = BridgeSchedule(loaded.times, loaded.max_variance)
    return TranslatorPart(
        module=loaded.module,
        height=loaded.height,
        width=loaded.width,
        channels=_channels(loaded.channels),
        times=loaded.times,
        max_variance=loaded.max_variance,
        steps=coefficient_table(schedule, steps or loaded.steps, loaded.eta),
        precision=precision,
    )


def training_spec(encoder: LoadedEncoder, translator: LoadedTranslator | None) -> TrainingSpec:
    """What the models were taught with, from their own checkpoints.

    The domain names every kind of data that took part, earlier runs included, joined by `+`.
    """
    checkpoint, run = encoder.checkpoint, encoder.training
    sentences = [f"The encoder learnt from {describe_data(run.data)}, {checkpoint.step} steps."]
    datasets, seeds = [dataset_name(run.data)], [run.run.seed]
    kinds = [run.data.kind, *earlier_kinds(run.initial)]
    if run.initial:
        sentences.append("It started from the weights of an earlier run.")
    if translator:
        config, step = translator.config, translator.metadata["step"]
        sentences.append(f"The translator learnt from {describe_data(config.data)}, {step} steps.")
        datasets.append(dataset_name(config.data))
        seeds.append(config.run.seed)
        kinds += [config.data.kind, *earlier_kinds(config.initial)]
    return TrainingSpec(
        domain="+".join(dict.fromkeys(kinds)),
        description=" ".join(sentences),
        datasets=tuple(dict.fromkeys(datasets)),
        commit=checkpoint.commit,
        data_digest=checkpoint.data_digest,
        seeds=tuple(dict.fromkeys(seeds)),
    )


def earlier_kinds(initial: Path | None) -> list[str]:
    """The kinds of data of the runs whose weights were taken over, latest first.

    A checkpoint that is no longer there counts as `unknown`.
    """
    if initial is None:
        return []
    if not initial.is_file():
        return ["unknown"]
    config = Checkpoint.load(initial).config
    before = config.get("initial")
    return [str(config["data"]["kind"]), *earlier_kinds(Path(before) if before else None)]


def official_training_spec(datasets: Sequence[str] = ("HOSS ReID",)) -> TrainingSpec:
    """What is known of a published checkpoint."""
    return TrainingSpec(
        domain="hoss",
        description="Weights published by the authors of MOS or TransOSS, trained by them.",
        datasets=tuple(datasets),
    )


def dataset_name(data: SimulatedData | HossData | PairData) -> str:
    """The data set as a manifest names it."""
    match data:
        case SimulatedData():
            return f"simulated fleet, seed {data.seed}"
        case HossData():
            return "HOSS ReID layout"
        case PairData():
            return "optical-SAR pairs"


def describe_data(data: SimulatedData | HossData | PairData) -> str:
    """The data set in words."""
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


def require_file(path: Path, what: str) -> Path:
    """The path, if a file is there.

    Raises:
        FileNotFoundError: there is none; says what was looked for.
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
