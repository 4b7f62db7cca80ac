"""What several commands share: exit statuses, options, and ways to print and to fail."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from service.settings import Settings

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses: something was refused or broke, wrong options or settings, Ctrl-C."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DataDir = Annotated[
    Path | None, typer.Option(help="The service's data folder.", show_default="data")
]
BundleOption = Annotated[
    Path | None, typer.Option(help="Folder of the model bundle.", show_default="the shipped one")
]
BundleFolder = Annotated[Path, typer.Argument(help="Folder of the bundle.", metavar="DIR")]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option(
        help="Where the models run; `auto` takes CUDA if it is installed.", show_default="auto"
    ),
]


def fail(message: object, status: int = FAILED) -> NoReturn:
    """Print a message on standard error and end the process with a status."""
    print(f"crossfix: {message}", file=sys.stderr)
    sys.exit(status)


def print_json(document: object) -> None:
    """Print an indented JSON document; values that JSON does not know are printed as text."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def protected_settings(**overrides: object) -> "Settings":
    """Read the settings of a command that writes into the data folder; see `load_settings`."""
    from service.settings import load_settings
    from service.wiring.stores import protect_data_folder

    settings = load_settings(**overrides)
    protect_data_folder(settings)
    return settings


def progress(
    label: str, total: int | None = None
) -> AbstractContextManager[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Return a progress bar on standard error, see `service.client.tables.progress_bar`."""
    from service.client.tables import console, progress_bar

    return progress_bar(console(sys.stderr), label, total)
