"""Options, error handling and JSON output that the `crossfix-train` commands share."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from model_training.calibration.calibrate import CalibrationError
from model_training.data.hoss import DatasetError
from model_training.embedding.models import ModelError
from model_training.studies.ablation import AblationError
from service.contract.bundle import open_bundle
from service.contract.errors import CrossfixError
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec

ConfigArgument = Annotated[Path, typer.Argument(help="YAML config of the run.")]
BundleOption = Annotated[Path | None, typer.Option(help="Folder of the bundle.")]
CheckpointsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint", help="Encoder checkpoint, instead of a bundle; several are used as one."
    ),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(help="Use this calibration (JSON of `calibrate`) instead of the bundle's."),
]
MetricsOption = Annotated[
    Path | None, typer.Option(help="Write the numbers as a bundle's metrics (JSON).")
]
DataNameOption = Annotated[
    str | None, typer.Option(help="Name of the data in --out; default: the folder's.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads; 0 takes all cores.", min=0)]
TorchThreadsOption = Annotated[int, typer.Option(help="CPU threads.", min=1)]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random here.")]
DrawsOption = Annotated[int, typer.Option(help="Bootstrap samples behind each interval.", min=100)]
Framing = Literal["as_is", "tight", "wild"]

_ALWAYS_EXPECTED = (DatasetError, CrossfixError, CalibrationError, AblationError, ModelError)


@contextmanager
def exit_on_error(*expected: type[Exception]) -> Iterator[None]:
    """Print an expected error as one line on standard error and exit with status 2.

    Args:
        expected: errors to handle in addition to those that any command may meet.
    """
    caught: tuple[type[Exception], ...] = (*_ALWAYS_EXPECTED, *expected)
    try:
        yield
    except caught as error:
        reason = _in_one_line(error) if isinstance(error, ValidationError) else error
        print(f"error: {reason}", file=sys.stderr)
        raise typer.Exit(2) from error


def _in_one_line(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())


def run_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a training run that its config or its data explain."""
    from model_training.data.cache import StoreError
    from model_training.encoder.loading import EncoderLoadError
    from model_training.training.config import ConfigError
    from model_training.training.run import ResumeError
    from model_training.training.workers import DeviceError

    known = (ConfigError, DeviceError, ResumeError, EncoderLoadError, StoreError)
    return (*known, FloatingPointError, OSError)


def model_paths(bundle: Path | None, checkpoints: Sequence[Path] | None) -> Sequence[Path]:
    """Return what `open_model` takes: the bundle, or the checkpoints.

    Raises:
        ModelError: neither or both were named.
    """
    if (bundle is None) == (not checkpoints):
        raise ModelError("give either --bundle FOLDER or --checkpoint FILE")
    return checkpoints or [bundle or Path()]


def open_calibration(bundle: Path | None, calibration: Path | None) -> CalibrationSpec:
    """Read a calibration that `calibrate` wrote, or else that of a bundle; one of them is given."""
    if calibration is not None:
        return CalibrationSpec.model_validate_json(calibration.read_bytes())
    return open_bundle(bundle or Path()).manifest.calibration


def write_metrics(path: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics as `crossfix-export` reads them."""
    write_json(path, [metric.model_dump(mode="json") for metric in metrics])


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, creating the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
