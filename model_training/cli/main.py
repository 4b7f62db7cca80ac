"""`crossfix-train`: simulate, train, calibrate and evaluate."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from model_training.calibration.calibrate import CalibrationError
from model_training.cli.tables import (
    ablation_table,
    evaluation_table,
    print_calibration,
    print_table,
    progress,
)
from model_training.data.hoss import DatasetError, HossDataset, LabelledChip
from model_training.embedding.chip_table import ChipEmbedder, ChipTable
from model_training.embedding.models import ModelError, open_model
from model_training.evaluation.ablation import AblationError
from service.contract.errors import CrossfixError
from service.contract.hoss_names import DISTRACTOR_ID

app = typer.Typer(
    help="Teach and measure the models behind Crossfix.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_EXPECTED = (DatasetError, CrossfixError, CalibrationError, AblationError, ModelError)

Bundle = Annotated[Path | None, typer.Option(help="Folder of the bundle.")]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint", help="Encoder checkpoint, instead of a bundle; several are used as one."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 takes all cores.", min=0)]
Seed = Annotated[int, typer.Option(help="Seed of everything random here.")]
Draws = Annotated[int, typer.Option(help="Bootstrap samples behind each interval.", min=100)]
Config = Annotated[Path, typer.Argument(help="YAML config of the run.")]


def main() -> None:
    """The console script."""
    app()


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="New folder for the data set, in HOSS layout.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML of simulator settings; unknown ones are errors.")
    ] = None,
    vessels: Annotated[int | None, typer.Option(help="How many ships.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the fleet.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: all cores.")] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Write each chip's ship mask and geometry, too.")
    ] = False,
    demo_fleet: Annotated[
        bool, typer.Option("--demo-fleet", help="The small fleet of `crossfix demo` instead.")
    ] = False,
) -> None:
    """Render simulated ships as optical and SAR chips; the same settings give the same chips."""
    import yaml

    from model_training.simulator import SimulatorConfig, write_dataset, write_demo_fleet

    with _explained(ValueError, OSError, yaml.YAMLError):
        if demo_fleet:
            if truth:
                raise ValueError("--truth is for data sets; the demo fleet has none")
            written = write_demo_fleet(out)
        else:
            settings = yaml.safe_load(config.read_text()) if config is not None else {}
            given = {"vessels": vessels, "seed": seed}
            settings |= {name: value for name, value in given.items() if value is not None}
            written = write_dataset(SimulatorConfig.from_dict(settings), out, workers, truth=truth)
    print(json.dumps(written, indent=2))


@app.command(name="simulator-report")
def simulator_report(
    genuine: Annotated[
        Path | None, typer.Option(help="Folder of genuine chips to compare with.")
    ] = None,
    ships: Annotated[int, typer.Option(help="Simulated ships to measure.", min=1)] = 200,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Where to draw twelve ships in both sensors (JPEG or PNG).")
    ] = None,
) -> None:
    """Simulated beside genuine statistics, and views per second and core."""
    from model_training.simulator import SimulatorConfig, report, write_sheet

    with _explained(ValueError, OSError):
        print(report(genuine, SimulatorConfig(), ships, workers))
        if sheet is not None:
            write_sheet(sheet, SimulatorConfig())


@app.command()
def encoder(config: Config) -> None:
    """Train an encoder, or continue a run that was stopped."""
    from model_training.encoder.train import train_encoder
    from model_training.encoder.train_config import EncoderTrainConfig
    from model_training.training.config import load_config

    with _explained(*_run_errors()):
        train_encoder(load_config(config, EncoderTrainConfig))


@app.command()
def translator(config: Config) -> None:
    """Train the optical-to-SAR translator, or continue a run that was stopped."""
    from model_training.training.config import load_config
    from model_training.translator.train import TranslatorConfig, train_translator

    with _explained(*_run_errors()):
        train_translator(load_config(config, TranslatorConfig))


@app.command()
def distil(config: Config) -> None:
    """Teach a translator to need fewer steps, or continue a run that was stopped."""
    from model_training.training.config import load_config
    from model_training.translator.distil import distil_translator
    from model_training.translator.train import DistilConfig

    with _explained(*_run_errors()):
        distil_translator(load_config(config, DistilConfig))


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Chips in HOSS layout, or a plain folder of them.")],
    bundle: Bundle = None,
    checkpoint: Checkpoints = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the numbers as a bundle's metrics (JSON).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data in --out; default: the folder's.")
    ] = None,
    draws: Draws = 2000,
    seed: Seed = 0,
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """mAP, R1, R5, R10 across sensors with 95 % intervals, without fusion, and by size alone."""
    from model_training.data.hoss import read_hoss
    from model_training.evaluation import evaluate as evaluation

    with _explained(ValueError):
        splits = evaluation.protocols_of(read_hoss(data))
        chips = evaluation.chips_of(splits)
        table = _embed(chips, _named_model(bundle, checkpoint), threads)
        result = evaluation.evaluate(splits, table, draws, seed)
        if out is not None:
            metrics = evaluation.as_metrics(result, name or data.resolve().name)
            _write_json(out, [metric.model_dump(mode="json") for metric in metrics])
    if as_json:
        print(json.dumps(evaluation.as_json(result), indent=2))
    else:
        print_table(evaluation_table(result, data))


@app.command()
def calibrate(
    bundle: Annotated[Path, typer.Option(help="Bundle whose embeddings are calibrated.")],
    data: Annotated[Path, typer.Option(help="Chips of validation ships, never trained on.")],
    out: Annotated[Path, typer.Option(help="Where to write the calibration (JSON).")],
    held_out_of: Annotated[
        Path | None,
        typer.Option(help="Config of an encoder run on --data: use the ships that it held out."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Chips of other ships, to measure the result on.")
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(help="Chips of still other ships, to fill the galleries of --data with."),
    ] = None,
    test_background: Annotated[
        Path | None, typer.Option(help="The same for --test; ships of neither other folder.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the measurements.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write errors and open-set rates as a bundle's metrics.")
    ] = None,
    diagram: Annotated[Path | None, typer.Option(help="Where to draw reliability (PNG).")] = None,
    fitted_on: Annotated[
        str | None, typer.Option(help="Name of the validation data; default: the folder's.")
    ] = None,
    tested_on: Annotated[
        str | None, typer.Option(help="Name of the test data; default: the folder's.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Fit probabilities and verdict thresholds on validation ships; measure them on others.

    Galleries of thousands need thousands of ships. Those of a background never ask, and one chip
    of each sensor is enough; each of its chips counts as a ship of its own.
    """
    from model_training.calibration import calibrate as calibration
    from model_training.calibration import report as calibration_report
    from model_training.calibration.reliability import draw_diagram
    from model_training.calibration.trials import WITHIN, replay
    from model_training.data.hoss import all_chips, read_hoss

    with _explained(ValueError):
        dataset = read_hoss(data)
        chips = _held_out(dataset, held_out_of) if held_out_of else all_chips(dataset)
        table = _embed((*chips, *_strangers(background)), [bundle], threads)
        across = calibration.require_trials(table, seed=seed)
        within = replay(table, WITHIN, seed=seed)
        spec = calibration.fit(across, within, fitted_on or data.resolve().name, seed)
        measured = {"validation": calibration_report.measure(spec, across, seed)}
        names = {"validation": spec.fitted_on}
        if test is not None:
            names["test"] = tested_on or test.resolve().name
            others = (*all_chips(read_hoss(test)), *_strangers(test_background))
            other = _embed(others, [bundle], threads)
            trials = calibration.require_trials(other, seed=seed + 1)
            measured["test"] = calibration_report.measure(spec, trials, seed)
    numbers = {part: calibration_report.as_json(value) for part, value in measured.items()}
    _write_json(out, spec.model_dump(mode="json"))
    if report is not None:
        _write_json(report, numbers)
    if metrics is not None:
        parts = [calibration_report.as_metrics(measured[part], names[part]) for part in names]
        if test is not None:
            parts.append(calibration_report.open_set_metrics(measured["test"], names["test"]))
        _write_json(metrics, [m.model_dump(mode="json") for part in parts for m in part])
    if diagram is not None:
        draw_diagram({part: value.first_candidate for part, value in measured.items()}, diagram)
    if as_json:
        print(json.dumps({"calibration": spec.model_dump(mode="json"), **numbers}, indent=2))
    else:
        print_calibration(spec, measured)
        print(f"wrote {out}")


@app.command()
def ablation(
    study: Annotated[Path, typer.Argument(help="YAML file that lists data and variants.")],
    genuine: Annotated[
        Path | None,
        typer.Option(help="Folder of genuine chips to measure on too; nothing is taught on them."),
    ] = None,
    draws: Draws = 2000,
    seed: Seed = 0,
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """What each part of the method adds, with 95 % intervals, each variant against the last.

    A study that names an encoder config is taught first: what is missing is rendered and trained.
    """
    from model_training.evaluation import ablation as ablations
    from model_training.evaluation.ablation_runs import TrainedStudy, teach, trains
    from model_training.training.config import load_config

    with _explained(ValueError, *_run_errors()):
        opened: Callable[[Path], ChipEmbedder] = partial(open_model, threads=threads)
        if trains(study):
            taught = teach(load_config(study, TrainedStudy), genuine, threads)
            measured, opened = taught.study, taught.open_model
        else:
            measured = ablations.with_genuine(ablations.read_study(study), genuine)
        with progress("embedding", None) as advance:
            rows = ablations.run_study(measured, opened, advance, draws, seed)
    if as_json:
        print(json.dumps(ablations.as_json(rows), indent=2))
    else:
        print_table(ablation_table(rows))


def _run_errors() -> tuple[type[Exception], ...]:
    """What may be wrong with a training run that its config or its data explain."""
    from model_training.data.cache import StoreError
    from model_training.encoder.loading import EncoderLoadError
    from model_training.training.config import ConfigError
    from model_training.training.run import ResumeError
    from model_training.training.workers import DeviceError

    known = (ConfigError, DeviceError, ResumeError, EncoderLoadError, StoreError)
    return (*known, FloatingPointError, OSError)


def _held_out(dataset: HossDataset, config: Path) -> tuple[LabelledChip, ...]:
    """The training chips of the ships that an encoder run on this data set held out.

    Raises:
        CalibrationError: the config cannot be read or is of a run on other data, or there are too
            few ships.
    """
    from model_training.data.holdout import HoldoutError, held_out_vessels
    from model_training.encoder.train_config import EncoderTrainConfig, HossData
    from model_training.training.config import ConfigError, load_config

    try:
        data = load_config(config, EncoderTrainConfig).data
    except ConfigError as error:
        raise CalibrationError(str(error)) from error
    if not isinstance(data, HossData) or data.folder.resolve() != dataset.root.resolve():
        raise CalibrationError(f"{config} is not the config of an encoder run on {dataset.root}")
    seen = ((chip.vessel_id, chip.modality) for chip in dataset.train)
    try:
        held = held_out_vessels(seen, data.validation_share, data.split_seed)
    except HoldoutError as error:
        raise CalibrationError(f"{dataset.root}: {error}") from error
    return tuple(chip for chip in dataset.train if chip.vessel_id in held)


def _strangers(folder: Path | None) -> tuple[LabelledChip, ...]:
    """The folder's chips as those of ships that nobody asks about."""
    from model_training.data.hoss import all_chips, read_hoss

    if folder is None:
        return ()
    chips = all_chips(read_hoss(folder))
    return tuple(replace(chip, vessel_id=DISTRACTOR_ID) for chip in chips)


def _named_model(bundle: Path | None, checkpoints: Sequence[Path] | None) -> Sequence[Path]:
    """What `open_model` takes: the bundle, or the checkpoints.

    Raises:
        ModelError: none or both were named.
    """
    if (bundle is None) == (not checkpoints):
        raise ModelError("give either --bundle FOLDER or --checkpoint FILE")
    return checkpoints or [bundle or Path()]


def _embed(chips: Sequence[LabelledChip], model: Sequence[Path], threads: int) -> ChipTable:
    from model_training.embedding.chip_table import embed_chips

    unique = len({chip.path for chip in chips})
    embed = open_model(*model, threads=threads)
    names = " + ".join(path.name for path in model)
    with progress(f"embedding with {names}", unique) as advance:
        return embed_chips(chips, embed, advance)


@contextmanager
def _explained(*more: type[Exception]) -> Iterator[None]:
    """Turn expected errors into one line on standard error and exit status 2."""
    expected: tuple[type[Exception], ...] = (*_EXPECTED, *more)
    try:
        yield
    except expected as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
