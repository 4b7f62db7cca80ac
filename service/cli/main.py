"""`crossfix`: run the service, call a running one, and inspect bundles.

Each command imports what it needs when it runs, so that `crossfix --help` is quick and commands
that call a service load no models.
"""

import os
import re
import sys
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli import common
from service.cli.collections import collections
from service.cli.dataset import export_dataset
from service.cli.desk import DESK_COMMANDS, export_app
from service.cli.keys import keys_app
from service.cli.maintenance import MAINTENANCE_COMMANDS, audit_app
from service.cli.matching import match
from service.cli.open_sightings import OPEN_SIGHTING_COMMANDS
from service.client import DEFAULT_URL

app = typer.Typer(
    name="crossfix",
    help="Match satellite chips of ships to known vessels, across optical and radar images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
EMPTY = re.compile("(--[^=]*=)?")
"""An argument without a value, which would name the current folder where a path is expected."""
bundle_app = typer.Typer(help="Inspect a model bundle.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")
app.add_typer(keys_app, name="keys")
app.add_typer(export_app, name="export")
app.add_typer(audit_app, name="audit")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"crossfix {version('crossfix')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0: any.", show_default="8080")
    ] = None,
    bundle: common.BundleOption = None,
    data_dir: common.DataDir = None,
    device: common.DeviceOption = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM; logs are JSON lines on standard error.

    Every setting is an environment variable, see `crossfix settings`; options take precedence.
    """
    # NumPy reads it when it is loaded. Its products are small: threads that wait for each other
    # after each take several times as much processor time as one, and the requests need it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from service.settings import load_settings

    settings = load_settings(host=host, port=port, bundle=bundle, data_dir=data_dir, device=device)
    from service.server.run import run  # loads the models' runtime: after the settings are checked

    run(settings)


@app.command()
def settings() -> None:
    """Print every setting with its default, bounds and meaning, as Markdown."""
    from service.cli.settings_table import settings_table

    print(settings_table(), end="")


@app.command()
def enrol(
    source: Annotated[
        Path, typer.Argument(help="A folder in HOSS layout, or a CSV manifest.", metavar="DIR|CSV")
    ],
    url: common.Url = DEFAULT_URL,
    modality: Annotated[
        Literal["optical", "sar", "all"] | None,
        typer.Option(
            case_sensitive=False,
            help="Enrol chips of this type.",
            show_default="optical from folders, all from manifests",
        ),
    ] = None,
    gsd_m: common.GsdOption = None,
    framing: Annotated[
        Literal["auto", "as_is"] | None,
        typer.Option(
            case_sensitive=False,
            help="Framing of the chips of a folder; see `crossfix match --help`.",
            show_default="auto",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of the data set, part of every id.", show_default="its file name"),
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """Register vessels with their chips in the gallery of a running service.

    A **folder** holds `bounding_box_train`, `bounding_box_test`, `query`, or the chips themselves,
    named `<id>_<anything>_{RGB,SAR}.tif` (PNG and JPEG too); id -1 is skipped. `vessels.csv`
    beside them describes the ids: `id,name,imo,mmsi,callsign,flag,type,length_m,beam_m`.

    A **manifest** has one row for each chip: `chip` (its path), one of `id`, `imo`, `mmsi`,
    `name`, the vessel's other attributes, and `modality`, `gsd_m`, `band`, `framing`,
    `captured_at`, `lat`, `lon`, `sensor`, `source`, `licence`, `case`, `note`.

    You can stop the command with Ctrl-C and repeat it: no chip is enrolled twice. It ends with
    status 1 if a chip was refused.
    """
    from service.client.enrol import enrol_fleet
    from service.client.fleet.read import read_fleet
    from service.client.tables import console, show_report

    fleet = read_fleet(source, modality, gsd_m, framing, dataset)
    for note in fleet.notes:
        console(sys.stderr).print(note, style="dim", markup=False)
    label = f"chips of {len(fleet.vessels)} vessels"
    with common.open_client(url) as client, common.progress(label, fleet.chips) as (_, advance):
        report = enrol_fleet(client, fleet, advance=advance)
    common.print_result(report, as_json, show_report)
    if report.stopped:
        raise typer.Exit(common.INTERRUPTED)
    if report.refused:
        raise typer.Exit(common.FAILED)


for command in (match, *DESK_COMMANDS, export_dataset, *OPEN_SIGHTING_COMMANDS):
    app.command()(command)


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Chips, or folders of chips.")],
    out: Annotated[Path, typer.Option(help="The NPZ file to write.")],
    bundle: common.BundleOption = None,
    modality: common.ModalityOption = None,
    gsd_m: common.GsdOption = None,
    framing: common.FramingOption = "auto",
    device: common.DeviceOption = None,
) -> None:
    """Embed chips without a service, into arrays `names`, `embeddings` and `modalities`.

    `embeddings` is float32, one row of unit length for each file in order; the dot product of two
    rows is their similarity. Optical rows are fused with pseudo-SAR where the bundle does so.
    Ends with status 1 when a file could not be used; the others are written, if there are any.
    """
    from service.client.embed import embed_files, write_embeddings
    from service.client.match import expand_folders
    from service.client.tables import console
    from service.contract.chip import Modality
    from service.contract.framing.records import FramingMode
    from service.inference.embedder import load_embedder
    from service.settings import load_settings

    paths = expand_folders(files)
    settings = load_settings(bundle=bundle, device=device)
    embedder = load_embedder(settings.bundle, settings.device, settings.threads)
    with common.progress("chips", len(paths)) as (_, advance):
        embedded = embed_files(
            embedder,
            paths,
            modality=None if modality is None else Modality(modality),
            gsd_m=gsd_m,
            framing=FramingMode(framing),
            advance=advance,
        )
    for path, reason in embedded.refused:
        console(sys.stderr).print(f"refused {path}: {reason}", markup=False, soft_wrap=True)
    for warning, (first, *others) in embedded.warned.items():
        more = f" and {len(others)} more" if others else ""
        console(sys.stderr).print(f"note {first}{more}: {warning}", markup=False, soft_wrap=True)
    write_embeddings(embedded, out)
    count, width = embedded.vectors.shape
    print(f"{count} embeddings of {width} dimensions in {out}, by bundle {embedder.bundle_id}")
    if embedded.refused:
        raise typer.Exit(common.FAILED)


@app.command()
def demo(
    chips: Annotated[
        Path | None,
        typer.Option(
            help="A folder in HOSS layout: RGB chips are enrolled, SAR chips matched.",
            show_default="the shipped fleet of simulated chips",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the table; do not keep the service running.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep gallery and chips there.", show_default="a temporary folder"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the contact sheet.")] = Path("demo-output"),
    port: Annotated[
        int | None,
        typer.Option(help="Port of the service.", min=1, show_default="8080 or a free one"),
    ] = None,
    bundle: common.BundleOption = None,
    device: common.DeviceOption = None,
) -> None:
    """Show how it works: start a service, enrol a small fleet, match SAR chips against it.

    Prints the ranked vessels of each SAR chip with probability, verdict and the truth, draws them
    on a contact sheet, and keeps the service running until Ctrl-C.
    """
    from service.client.demo.run import DemoOptions, run_demo

    options = DemoOptions(
        chips=chips, data_dir=data_dir, out=out, port=port, bundle=bundle, device=device, once=once
    )
    raise typer.Exit(run_demo(options))


@bundle_app.command("show")
def show_bundle_folder(folder: common.BundleFolder, as_json: common.AsJson = False) -> None:
    """Verify a bundle's files and print its models, training data, metrics and licences."""
    from service.client.bundle_table import show_bundle
    from service.client.tables import console
    from service.contract.bundle import open_bundle

    bundle = open_bundle(folder)
    if as_json:
        manifest = bundle.manifest.model_dump(mode="json")
        common.print_json({"bundle_id": bundle.bundle_id, "manifest": manifest})
    else:
        show_bundle(console(), bundle)


@bundle_app.command("verify")
def verify_bundle_folder(folder: common.BundleFolder, device: common.DeviceOption = None) -> None:
    """Check a bundle's schema, hashes and graphs, and its golden chips against their embeddings."""
    from service.contract.bundle import open_bundle
    from service.inference.embedder import build_embedder

    embedder = build_embedder(open_bundle(folder), device or "auto")
    cosine = embedder.verify_golden()
    golden = embedder.manifest.golden
    print(
        f"bundle {embedder.bundle_id} ({embedder.manifest.name}) is sound on {embedder.device} "
        f"({embedder.precision}): "
        f"{len(golden.chips)} golden chips embed with cosine {cosine:.6f} or more "
        f"(at least {embedder.min_golden_cosine} is needed)"
    )


for maintenance_command in (*MAINTENANCE_COMMANDS, collections):
    app.command()(maintenance_command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; print an expected error as one line and end with its exit status.

    A character that the terminal's encoding lacks is printed as its escape sequence; what is
    printed to a stream that the caller closed is dropped.
    """
    from service.client.errors import ClientError
    from service.contract.errors import CrossfixError

    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115 - until the process ends
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if any(map(EMPTY.fullmatch, sys.argv[1:] if arguments is None else arguments)):
        common.fail("an argument is empty, as where a shell variable is unset", common.USAGE)
    try:
        app(args=arguments)
    except (ClientError, CrossfixError) as error:
        from service.settings import SettingsError

        common.fail(error, common.USAGE if isinstance(error, SettingsError) else common.FAILED)
    except OSError as error:
        common.fail(error)
    except KeyboardInterrupt:
        sys.exit(common.INTERRUPTED)


if __name__ == "__main__":
    main()
