"""What several commands share: exit statuses, options, and ways to print and to fail."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Protocol, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from service.client.remote.client import Client
    from service.settings import Settings

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses: something was refused or broke, wrong options or settings, Ctrl-C."""

NewName = Annotated[str | None, typer.Option("--name", help="Name of the new vessel.")]
NewImo = Annotated[str | None, typer.Option("--imo", help="IMO number of the new vessel.")]
NewMmsi = Annotated[str | None, typer.Option("--mmsi", help="MMSI of the new vessel.")]
NewType = Annotated[str | None, typer.Option("--type", help="Type of the new vessel.")]
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

Url = Annotated[
    str,
    typer.Option(
        help="Address of the service; its API key is read from CROSSFIX_API_KEY.", metavar="URL"
    ),
]
GsdOption = Annotated[
    float | None,
    typer.Option(
        "--gsd-m",
        help="Metres per pixel.",
        show_default="the GeoTIFF's, else 0.75 optical, 1.0 SAR",
        min=0.01,
    ),
]
ModalityOption = Annotated[
    Literal["optical", "sar"] | None,
    typer.Option(
        "--modality",
        case_sensitive=False,
        help="The chips' sensor.",
        show_default="by file name `…_RGB`/`…_SAR`, else by content",
    ),
]

FramingOption = Annotated[
    Literal["auto", "as_is"],
    typer.Option(
        "--framing",
        case_sensitive=False,
        help="`auto`: cut the ship out upright and tight; `as_is`: use the chip unchanged.",
    ),
]


class HasDocument(Protocol):
    """A result that can be printed as JSON."""

    def document(self) -> dict[str, Any]:
        """Return JSON values."""


Documented = TypeVar("Documented", bound="HasDocument | list[Any]")


def fail(message: object, status: int = FAILED) -> NoReturn:
    """Print a message on standard error and end the process with a status."""
    print(f"crossfix: {message}", file=sys.stderr)
    sys.exit(status)


def print_json(document: object) -> None:
    """Print an indented JSON document; values that JSON does not know are printed as text."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_result(
    result: Documented, as_json: bool, show: "Callable[[Console, Documented], None]"
) -> None:
    """Print a result by `show`, or as JSON: the document of it, or of each in a list."""
    from service.client.tables import console

    if not as_json:
        show(console(), result)
    elif isinstance(result, list):
        print_json([one.document() for one in result])
    else:
        print_json(result.document())


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


def open_client(url: str) -> "Client":
    """Return a client; raise UnreachableError if no Crossfix service answers."""
    from service.client.remote.client import Client

    client = Client(url, api_key=os.environ.get("CROSSFIX_API_KEY") or None)
    client.require_alive()
    return client


def given(**options: object) -> dict[str, Any]:
    """Return the options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}
