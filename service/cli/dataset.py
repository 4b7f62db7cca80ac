"""`crossfix export-dataset`: write what analysts decided as training data."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import AsJson, Url, open_client, print_json, progress
from service.client import DEFAULT_URL


def export_dataset(
    out: Annotated[Path, typer.Argument(help="The folder to write.", metavar="DIR")],
    url: Url = DEFAULT_URL,
    stated_gsd_only: Annotated[
        bool,
        typer.Option(
            "--stated-gsd-only",
            help="Leave out chips whose metres per pixel were assumed, because nobody stated them.",
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write confirmed ships with their chips, and rejected pairs, as a folder in HOSS layout.

    A ship is in it if an analyst confirmed a match of it and it has chips of both sensors. Chips
    are written framed; `provenance.csv` says of each where it comes from, who confirmed it and
    whether it is simulated. `rejected.csv` holds the vessels that analysts ruled out. The folder
    appears when it is complete.
    """
    from service.client.dataset.archive import read_archive
    from service.client.dataset.folder import write_dataset
    from service.client.tables import console

    with open_client(url) as client:
        with progress("judged matches and their vessels") as (_, advance):
            archive = read_archive(client, advance)
        with progress("ships", len(archive.ships)) as (_, advance):
            report = write_dataset(
                client,
                archive,
                out,
                stated_gsd_only=stated_gsd_only,
                replace=replace,
                advance=advance,
            )
    if as_json:
        print_json(report.document())
        return
    for (kind, reason), count in report.reasons.items():
        console(sys.stderr).print(f"left out: {count} × {kind}: {reason}", markup=False)
    print(
        f"{report.ships} ships with {report.chips} chips, {report.confirmed_chips} of them "
        f"confirmed, and {report.rejected_pairs} rejected pairs of {report.rejected_matches} "
        f"matches in {out}"
    )
    if report.simulated_ships:
        print(f"{report.simulated_ships} of the ships are SIMULATED")
    if count := report.chips_with_assumed_gsd:
        print(f"{count} chips have the usual metres per pixel: nobody stated any")
