"""Error handling and JSON input of the `crossfix-export` commands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from export.build_bundle import NO_CALIBRATION
from export.bundle_weights import BundleWeightsError
from export.official import CheckpointError
from export.parity import ParityError
from export.rounded_graphs import ValidationShips
from model_training.data.cache import StoreError
from model_training.data.hoss import DatasetError
from model_training.embedding.models import ModelError
from model_training.encoder.loading import EncoderLoadError
from service.contract.errors import CrossfixError
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec

console = Console(stderr=True)
ModelT = TypeVar("ModelT")
EXPECTED_ERRORS = (
    CrossfixError,
    ParityError,
    CheckpointError,
    BundleWeightsError,
    EncoderLoadError,
    DatasetError,
    StoreError,
    ModelError,
    OSError,
    ValueError,
)


def read_calibration(path: Path | None) -> CalibrationSpec:
    """Read what `crossfix-train calibrate` wrote; without a file there is no calibration."""
    if path is None:
        return NO_CALIBRATION
    return read_json(path, TypeAdapter(CalibrationSpec))


def read_metrics(paths: list[Path]) -> list[Metric]:
    """Read the metrics of several files."""
    adapter = TypeAdapter(list[Metric])
    return [metric for path in paths for metric in read_json(path, adapter)]


def read_validation(precision: str, folder: Path | None) -> ValidationShips | None:
    """Read the ships on which rounded graphs are tried; None: only the full graph is made.

    Raises:
        ValueError: the precision is `auto` without ships, or there are ships without `auto`.
        DatasetError: the folder holds no data set.
    """
    if (precision == "auto") != (folder is not None):
        raise ValueError(
            "--precision auto needs --validation DIR, and --validation is for --precision auto "
            "alone: the change of mAP on these ships decides which rounded graphs are shipped"
        )
    return None if folder is None else ValidationShips.read(folder)


def read_json(path: Path, adapter: TypeAdapter[ModelT]) -> ModelT:
    """Read a JSON file.

    Raises:
        ValueError: it does not fit; names the first place that is wrong.
    """
    try:
        return adapter.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path}: {place}: {first['msg']}") from error


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an expected error as one line on standard error and exit with status 2."""
    try:
        yield
    except EXPECTED_ERRORS as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Print a message on standard error and exit with status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(2)
