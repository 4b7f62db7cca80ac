"""`crossfix-export`: make bundles from checkpoints, and verify bundles."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter

from export.build_bundle import BuiltBundle, BundlePlan, build_bundle
from export.bundle_weights import read_encoders
from export.checkpoints import (
    OFFICIAL_LICENCE,
    encoder_part,
    kept_translator,
    official_encoder_part,
    official_training_spec,
    pretrained_licences,
    require_file,
    training_spec,
    translator_part,
    with_kept_translator,
)
from export.cli_common import (
    console,
    exit_on_error,
    fail,
    read_calibration,
    read_json,
    read_metrics,
    read_validation,
)
from export.model_card import UNCALIBRATED
from export.official import METHOD_NAMES, PublishedMethod, load_official
from export.recalibrate import recalibrate_bundle
from export.sample_chips import SampleChip, simulated_chips
from model_training.encoder.loading import LoadedEncoders, load_encoders
from model_training.evaluation.comparison import compare_on_held_out
from model_training.translator.train import LoadedTranslator, load_translator
from service.contract.bundle import open_bundle
from service.contract.manifest import FusionSpec
from service.contract.weighing.specs import CalibrationSpec
from service.inference.embedder import load_embedder

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make and verify model bundles.",
)
METHOD = "MOS (arXiv 2512.03404): one encoder for optical and SAR chips, compared by cosine."
PUBLISHED_METHODS: dict[PublishedMethod, str] = {
    "mos": f"{METHOD} Encoder: TransOSS, published weights.",
    "transoss": "TransOSS (arXiv 2506.22027), published weights: one encoder for optical and SAR "
    "chips, compared by cosine.",
}
DENOISING: dict[PublishedMethod, str] = {
    "mos": "the 5th percentile of a chip becomes 0, its maximum 255",
    "transoss": "the maximum of a chip becomes 255, 0 stays 0",
}
SIMULATED_DOMAIN = "simulated"
OWN_LICENCE = "Apache-2.0, as this repository"
GOLDEN_LICENCE = f"{OWN_LICENCE}; simulated, no satellite has taken them"
SETTLING_SHIPS = 16
NOT_BETTER = 3
"""Exit status of `bundle --better-than` when no bundle was written because it is no better."""

EncoderOption = Annotated[Path, typer.Option("--encoder", help="Checkpoint of the encoder.")]
EncodersOption = Annotated[
    list[Path],
    typer.Option(
        "--encoder",
        help="Checkpoint of an encoder; several are served as one, by the mean of their cosines.",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the new bundle.")]
NameOption = Annotated[str, typer.Option("--name", help="What the bundle is called.")]
TranslatorOption = Annotated[
    Path | None, typer.Option("--translator", help="Checkpoint of the translator.")
]
TranslatorOfOption = Annotated[
    Path | None,
    typer.Option("--translator-of", help="Bundle whose translator is taken over as it is."),
]
StepsOption = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Translator calls per picture; default: as trained."),
]
SamplesOption = Annotated[
    int, typer.Option("--samples", min=0, max=64, help="K, pseudo-SAR pictures that are fused.")
]
AlphaOption = Annotated[
    float, typer.Option("--alpha", min=0, max=1, help="Weight of the pseudo-SAR mean.")
]
CalibrationOption = Annotated[
    Path | None, typer.Option("--calibration", help="JSON of `crossfix-train calibrate`.")
]
MetricsOption = Annotated[
    list[Path] | None,
    typer.Option("--metrics", help="JSON list of measured metrics; may be given several times."),
]
BundleArgument = Annotated[Path, typer.Argument(help="Folder of the bundle.")]
NoteOption = Annotated[
    list[str] | None, typer.Option("--note", help="A remark for the model card; repeatable.")
]
PrecisionOption = Annotated[
    Literal["float32", "auto"],
    typer.Option(
        "--precision",
        help="auto: also try int8 for the CPU and float16 for CUDA, and ship those that are "
        "faster and lose at most 0.3 points of mAP on the ships of --validation, which is needed.",
    ),
]
ValidationOption = Annotated[
    Path | None,
    typer.Option("--validation", help="Validation ships in HOSS layout, for --precision auto."),
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Replace an older bundle in --out.")]


@app.command()
def bundle(
    encoder: EncodersOption,
    out: OutOption,
    translator: TranslatorOption = None,
    translator_of: TranslatorOfOption = None,
    steps: StepsOption = None,
    samples: SamplesOption = 0,
    alpha: AlphaOption = 0.0,
    calibration: CalibrationOption = None,
    uncalibrated: Annotated[
        bool,
        typer.Option(
            "--uncalibrated",
            help="Make a bundle without calibration: equal probabilities, meaningless verdicts.",
        ),
    ] = False,
    metrics: MetricsOption = None,
    precision: PrecisionOption = "float32",
    validation: ValidationOption = None,
    name: NameOption = "crossfix",
    note: NoteOption = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            help="Licence of the weights; required if not only simulated ships trained them.",
        ),
    ] = None,
    better_than: Annotated[
        Path | None,
        typer.Option(
            "--better-than",
            help="For encoders that learnt from an archive: write the bundle only if its mAP on "
            "the held-out ships is above that of this bundle; else end with status 3.",
        ),
    ] = None,
    replace: ReplaceOption = False,
) -> None:
    """Make a bundle from trained checkpoints."""
    if (calibration is None) != uncalibrated:
        fail(
            "a bundle needs --calibration JSON, from `crossfix-train calibrate`; or give "
            "--uncalibrated, then all vessels are equally probable and verdicts mean nothing"
        )
    if translator is not None and translator_of is not None:
        fail("give either --translator CHECKPOINT or --translator-of BUNDLE")
    with exit_on_error():
        loaded, notes = _load_encoders(encoder), list(note or ())
        if better_than is not None:
            notes.append(_require_better(encoder, better_than))
        bridge = _load_translator(translator)
        training, kept = training_spec(loaded, bridge), None
        if translator_of is not None:
            older = open_bundle(translator_of)
            kept = kept_translator(older)
            training = with_kept_translator(training, older.manifest.training)
        plan = BundlePlan(
            name=name,
            method=METHOD,
            encoder=encoder_part(loaded),
            training=training,
            licences={
                "weights": _weights_licence(training.domain, licence),
                "golden chips": GOLDEN_LICENCE,
                **pretrained_licences(loaded),
            },
            chips=_chips(),
            translator=translator_part(bridge, steps) if bridge else kept,
            fusion=FusionSpec(samples=samples, alpha=alpha),
            calibration=read_calibration(calibration),
            metrics=read_metrics(metrics or []),
            notes=tuple(notes),
            validation=read_validation(precision, validation),
        )
        _build(plan, out, replace)


@app.command()
def recalibrate(
    folder: BundleArgument,
    calibration: Annotated[
        Path, typer.Option("--calibration", help="JSON of `crossfix-train calibrate`.")
    ],
    out: OutOption,
    metrics: MetricsOption = None,
    note: NoteOption = None,
    replace: ReplaceOption = False,
) -> None:
    """Give a bundle another calibration and other metrics; its models stay as they are.

    Metrics of the same data set and protocol are replaced, the others stay.
    """
    with exit_on_error():
        renewed = recalibrate_bundle(
            open_bundle(folder),
            read_json(calibration, TypeAdapter(CalibrationSpec)),
            read_metrics(metrics or []),
            out,
            notes=tuple(note or ()),
            replace_existing=replace,
        )
    print(f"wrote bundle {renewed.bundle_id} to {renewed.path}")


@app.command("import-official")
def import_official(
    encoder: EncoderOption,
    out: OutOption,
    translator: TranslatorOption = None,
    steps: StepsOption = None,
    samples: SamplesOption = 0,
    alpha: AlphaOption = 0.0,
    calibration: CalibrationOption = None,
    metrics: MetricsOption = None,
    precision: PrecisionOption = "float32",
    validation: ValidationOption = None,
    published_by: Annotated[
        PublishedMethod,
        typer.Option(
            help="Whose code trained the checkpoint; the two denoise SAR differently, and a "
            "checkpoint does not tell."
        ),
    ] = "mos",
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="What the bundle is called.", show_default="mos- or transoss-official"
        ),
    ] = None,
    replace: ReplaceOption = False,
) -> None:
    """Make a bundle from a published MOS or TransOSS checkpoint.

    Chips are prepared as the authors' code of the method does. Without --calibration the bundle
    ranks vessels, but all are equally probable.
    """
    with exit_on_error():
        module = load_official(require_file(encoder, "published checkpoint"), published_by)
        bridge = _load_translator(translator)
        plan = BundlePlan(
            name=name or f"{published_by}-official",
            method=PUBLISHED_METHODS[published_by],
            encoder=official_encoder_part(module),
            training=official_training_spec(published_by),
            licences={"weights": OFFICIAL_LICENCE, "golden chips": GOLDEN_LICENCE},
            chips=_chips(),
            translator=translator_part(bridge, steps) if bridge else None,
            fusion=FusionSpec(samples=samples, alpha=alpha),
            calibration=read_calibration(calibration),
            metrics=read_metrics(metrics or []),
            validation=read_validation(precision, validation),
        )
        _build(plan, out, replace)
    print(f"SAR is denoised as by {METHOD_NAMES[published_by]}: {DENOISING[published_by]}")


@app.command()
def verify(
    folder: BundleArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a bundle's files, graphs and golden vectors, as the service does when it starts."""
    with exit_on_error():
        embedder = load_embedder(folder, "cpu")
        cosine = embedder.verify_golden()
    manifest = embedder.manifest
    facts = {
        "bundle_id": embedder.bundle_id,
        "name": manifest.name,
        "training_domain": manifest.training.domain,
        "embedding_width": embedder.width,
        "calibrated": manifest.calibration.fitted_on != UNCALIBRATED,
        "smallest_golden_cosine": round(cosine, 6),
        "megabytes": round(sum(f.size_bytes for f in manifest.files.values()) / 1e6, 2),
    }
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{folder} is sound")
    for key, value in facts.items():
        print(f"  {key.replace('_', ' ')}: {value}")


@app.command()
def weights(
    folder: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the checkpoints.")],
) -> None:
    """Read the encoders of a bundle back as checkpoints, so that training can start from them.

    For compact and lite encoders in full precision. Writes one checkpoint for each encoder, named
    after its run; it serves as `initial` of a training config, and as --encoder of `bundle`.
    """
    with exit_on_error():
        read = read_encoders(open_bundle(folder), simulated_chips(SETTLING_SHIPS))
        paths = read.save(out)
    for path, member in zip(paths, read.encoders.members, strict=True):
        print(f"{path}: {member.config.kind}, {member.checkpoint.step} steps")
    print(f"largest difference to the bundle's graph {read.parity.largest_difference:.2g}")


def main() -> None:
    """Run the console script."""
    app()


def _build(plan: BundlePlan, out: Path, replace: bool) -> None:
    with console.status("exporting and comparing with the checkpoints"):
        built = build_bundle(plan, out, replace_existing=replace)
    _print_report(built)


def _print_report(built: BuiltBundle) -> None:
    manifest = built.bundle.manifest
    for file, parity in built.parity.items():
        print(
            f"{file}: {manifest.files[file].size_bytes / 1e6:.2f} MB, largest difference to its "
            f"module {parity.largest_difference:.2g}, smallest cosine {parity.smallest_cosine:.6f}"
        )
    for sentence in built.tried:
        print(sentence)
    if manifest.calibration.fitted_on == UNCALIBRATED:
        print("not calibrated: all vessels are equally probable and verdicts mean nothing")
    print(f"wrote bundle {built.bundle.bundle_id} to {built.bundle.path}")


def _load_encoders(paths: list[Path]) -> LoadedEncoders:
    for path in paths:
        require_file(path, "checkpoint of an encoder")
    return load_encoders(paths)


def _require_better(paths: list[Path], older: Path) -> str:
    """Compare encoders with a bundle on held-out ships; return the result, or end the command."""
    with console.status("embedding the held-out ships with both"):
        comparison = compare_on_held_out(paths, [older])
    print(comparison)
    if not comparison.is_better:
        print("the older bundle stays: the new encoder is no better on the held-out ships")
        raise typer.Exit(NOT_BETTER)
    if not comparison.is_certain:
        print("so few ships do not tell for certain: the interval of the gain includes 0")
    return f"Compared with bundle {open_bundle(older).bundle_id}: {comparison}."


def _load_translator(path: Path | None) -> LoadedTranslator | None:
    if path is None:
        return None
    return load_translator(require_file(path, "checkpoint of a translator"))


def _weights_licence(domain: str, given: str | None) -> str:
    """Return the given licence, else this repository's if all data were simulated."""
    if given is not None and given.strip():
        return given.strip()
    if domain != SIMULATED_DOMAIN:
        raise ValueError(
            f"the weights learnt from {domain}, whose terms this repository cannot know: give the "
            "licence under which they may be used, --licence TEXT"
        )
    return OWN_LICENCE


def _chips() -> list[SampleChip]:
    with console.status("simulating golden chips"):
        return simulated_chips()
