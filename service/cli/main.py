"""`crossfix`: run the service, call a running one, and inspect bundles.

Each command imports what it needs when it runs, so that `crossfix --help` is quick and commands
that call a service load no models.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.common import (
    FAILED,
    INTERRUPTED,
    USAGE,
    AsJson,
    BundleFolder,
    BundleOption,
    DataDir,
    DeviceOption,
    fail,
    print_json,
    progress,
)
from service.cli.keys import keys_app
from service.cli.maintenance import add_commands
from service.client import DEFAULT_URL

if TYPE_CHECKING:
    from service.client.http import CrossfixClient

app = typer.Typer(
    name="crossfix",
    help="Identify a ship across optical and radar satellites: a chip in, the vessel out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
bundle_app = typer.Typer(help="Inspect a model bundle.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")
app.add_typer(keys_app, name="keys")

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
        help="The chips' sensor.",
        show_default="by file name `…_RGB`/`…_SAR`, else by content",
    ),
]

FramingOption = Annotated[
    Literal["auto", "as_is"],
    typer.Option(
        "--framing",
        help="`auto`: cut the ship out upright and tight; `as_is`: leave the pixels alone.",
    ),
]


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0: any.", show_default="8080")
    ] = None,
    bundle: BundleOption = None,
    data_dir: DataDir = None,
    device: DeviceOption = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM; logs are JSON lines on standard error.

    Every setting is an environment variable, see `crossfix settings`; options take precedence.
    """
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
    url: Url = DEFAULT_URL,
    modality: Annotated[
        Literal["optical", "sar", "all"] | None,
        typer.Option(help="Which chips.", show_default="optical from folders, all from manifests"),
    ] = None,
    gsd_m: GsdOption = None,
    framing: Annotated[
        Literal["auto", "as_is"] | None,
        typer.Option(
            help="Of the chips of a folder, as for `crossfix match`.", show_default="auto"
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of the data set, part of every id.", show_default="its file name"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Vessels sent at once.", min=1, max=64)] = 4,
    as_json: AsJson = False,
) -> None:
    """Register vessels with their chips in the gallery of a running service.

    A **folder** holds `bounding_box_train`, `bounding_box_test`, `query`, or the chips themselves,
    named `<id>_<anything>_{RGB,SAR}.tif` (PNG and JPEG too); id -1 is left out. `vessels.csv`
    beside them describes the ids: `id,name,imo,mmsi,callsign,flag,type,length_m,beam_m`.

    A **manifest** has one row for each chip: `chip` (its path), one of `id`, `imo`, `mmsi`,
    `name`, the vessel's other attributes, and `modality`, `gsd_m`, `band`, `framing`,
    `captured_at`, `lat`, `lon`, `sensor`, `source`, `licence`, `case`, `note`.

    It can be stopped with Ctrl-C and repeated: what is enrolled already is not enrolled twice.
    Ends with status 1 when something was refused.
    """
    from service.client.enrol import enrol_fleet
    from service.client.fleet.read import read_fleet
    from service.client.tables import console, show_report

    fleet = read_fleet(source, modality, gsd_m, framing, dataset)
    for note in fleet.notes:
        console(sys.stderr).print(note, style="dim", markup=False)
    label = f"chips of {len(fleet.vessels)} vessels"
    with _client(url) as client, progress(label, fleet.chips) as (_, advance):
        report = enrol_fleet(client, fleet, workers=workers, advance=advance)
    if as_json:
        print_json(report.document())
    else:
        show_report(console(), report)
    if report.stopped:
        raise typer.Exit(INTERRUPTED)
    if report.refused:
        raise typer.Exit(FAILED)


@app.command()
def match(
    chips: Annotated[list[Path], typer.Argument(help="Chips, or folders of chips.")],
    url: Url = DEFAULT_URL,
    top_k: Annotated[int, typer.Option(help="How many vessels to rank.", min=1, max=100)] = 5,
    modality: ModalityOption = None,
    gsd_m: GsdOption = None,
    framing: FramingOption = "auto",
    band: Annotated[int | None, typer.Option(help="Band of a multi-polarisation chip.")] = None,
    captured_at: Annotated[
        str | None, typer.Option(help="Time of capture, e.g. 2026-03-05T17:20:00Z.")
    ] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude of the ship, degrees north.")] = None,
    lon: Annotated[float | None, typer.Option(help="Longitude of the ship, degrees east.")] = None,
    case: Annotated[str | None, typer.Option(help="The case that the chips belong to.")] = None,
    note: Annotated[str | None, typer.Option(help="A remark, kept with each match.")] = None,
    max_speed_kn: Annotated[
        float | None, typer.Option(help="Leave out vessels that would have sailed faster.")
    ] = None,
    vessel_type: Annotated[str | None, typer.Option(help="Only vessels of this type.")] = None,
    length_tolerance: Annotated[
        float | None,
        typer.Option(help="Only vessels whose registered length fits within this share, e.g. 0.2."),
    ] = None,
    store: Annotated[
        bool, typer.Option(help="Keep the chip as a sighting without a vessel, and the match.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Ask a running service which registered vessel a chip shows.

    Prints, for each chip, the ranked vessels with calibrated probability, similarity and checks,
    and the verdict with its explanation. Ends with status 1 when a chip was refused.
    """
    from service.client.match import expand_folders, match_file
    from service.client.tables import console, show_result

    metadata: dict[str, Any] = {"modality": modality, "gsd_m": gsd_m, "band": band}
    metadata |= {
        "framing": framing,
        "captured_at": captured_at,
        "lat": lat,
        "lon": lon,
        "case": case,
        "note": note,
    }
    options = {"top_k": top_k, "max_speed_kn": max_speed_kn, "vessel_type": vessel_type}
    options |= {"length_tolerance": length_tolerance, "store": store}
    results = []
    with _client(url) as client:
        for path in expand_folders(chips):
            results.append(match_file(client, path, _set_only(options), _set_only(metadata)))
            if not as_json:
                show_result(console(), results[-1])
    if as_json:
        print_json([result.document() for result in results])
    if any(result.problem for result in results):
        raise typer.Exit(FAILED)


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Chips, or folders of chips.")],
    out: Annotated[Path, typer.Option(help="The NPZ file to write.")],
    bundle: BundleOption = None,
    modality: ModalityOption = None,
    gsd_m: GsdOption = None,
    framing: FramingOption = "auto",
    device: DeviceOption = None,
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
    from service.contract.framing.apply import FramingMode
    from service.inference.embedder import load_embedder
    from service.settings import load_settings

    paths = expand_folders(files)
    settings = load_settings(bundle=bundle, device=device)
    embedder = load_embedder(settings.bundle, settings.device, settings.threads)
    with progress("chips", len(paths)) as (_, advance):
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
    write_embeddings(embedded, out)
    count, width = embedded.vectors.shape
    print(f"{count} embeddings of {width} dimensions in {out}, by bundle {embedder.bundle_id}")
    if embedded.refused:
        raise typer.Exit(FAILED)


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
        int | None, typer.Option(help="Port of the service.", show_default="8080 or a free one")
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = None,
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
def show_bundle_folder(folder: BundleFolder, as_json: AsJson = False) -> None:
    """Verify a bundle's files and print its models, training data, metrics and licences."""
    from service.client.bundle_table import show_bundle
    from service.client.tables import console
    from service.contract.bundle import open_bundle

    bundle = open_bundle(folder)
    if as_json:
        manifest = bundle.manifest.model_dump(mode="json")
        print_json({"bundle_id": bundle.bundle_id, "manifest": manifest})
    else:
        show_bundle(console(), bundle)


@bundle_app.command("verify")
def verify_bundle_folder(folder: BundleFolder, device: DeviceOption = None) -> None:
    """Check a bundle's schema, hashes and graphs, and its golden chips against their embeddings."""
    from service.contract.bundle import open_bundle
    from service.inference.embedder import build_embedder

    embedder = build_embedder(open_bundle(folder), device or "auto")
    cosine = embedder.verify_golden()
    golden = embedder.manifest.golden
    print(
        f"bundle {embedder.bundle_id} ({embedder.manifest.name}) is sound on {embedder.device}: "
        f"{len(golden.chips)} golden chips embed with cosine {cosine:.6f} or more "
        f"(at least {golden.min_cosine} is needed)"
    )


add_commands(app)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; print an expected error as one line and end with its exit status."""
    from service.client.errors import ClientError
    from service.contract.errors import CrossfixError

    try:
        app(args=arguments)
    except (ClientError, CrossfixError) as error:
        from service.settings import SettingsError

        fail(error, USAGE if isinstance(error, SettingsError) else FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _client(url: str) -> "CrossfixClient":
    """Return a client of a service that answers.

    Raises:
        UnreachableError: no Crossfix service answers.
    """
    from service.client.http import CrossfixClient

    client = CrossfixClient(url, api_key=os.environ.get("CROSSFIX_API_KEY") or None)
    client.require_alive()
    return client


def _set_only(options: dict[str, Any]) -> dict[str, Any]:
    """Drop the options that were not given."""
    return {name: value for name, value in options.items() if value is not None}


if __name__ == "__main__":
    main()
