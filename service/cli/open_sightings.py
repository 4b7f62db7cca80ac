"""`crossfix groups | enrol-sightings | mark-different`: sightings whose ship is unknown."""

from itertools import islice
from typing import Annotated

import typer

from service.cli import common
from service.client import DEFAULT_URL

Sightings = Annotated[list[str], typer.Argument(help="Ids of open sightings.", metavar="SIGHTING…")]


def groups(
    url: common.Url = DEFAULT_URL,
    limit: Annotated[int, typer.Option(help="How many at most; 0: all.", min=0)] = 20,
    as_json: common.AsJson = False,
) -> None:
    """List groups of open sightings that may show one unknown ship, the largest first."""
    from service.client.desk_tables import show_groups

    with common.open_client(url) as client:
        found = list(islice(client.groups(), limit or None))
    common.print_result(found, as_json, show_groups)


def enrol_sightings(
    sightings: Sightings,
    name: common.NewName = None,
    imo: common.NewImo = None,
    mmsi: common.NewMmsi = None,
    type_: common.NewType = None,
    url: common.Url = DEFAULT_URL,
    as_json: common.AsJson = False,
) -> None:
    """Register a new vessel with open sightings as its chips, and confirm their matches."""
    from service.client.desk_tables import show_vessel

    attributes = common.given(name=name, imo=imo, mmsi=mmsi, type=type_)
    with common.open_client(url) as client:
        made = client.enrol_sightings(sightings, attributes)
    common.print_result(made, as_json, show_vessel)


def mark_different(
    sightings: Sightings,
    other: Annotated[
        list[str] | None,
        typer.Option(help="A sighting of another ship; repeatable, and these may show one ship."),
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Withdraw an earlier `crossfix mark-different`.")
    ] = False,
    url: common.Url = DEFAULT_URL,
) -> None:
    """Mark open sightings as different ships.

    Each SIGHTING shows another ship than every other SIGHTING and every `--other`.
    """
    with common.open_client(url) as client:
        client.mark_different(sightings, others=other or (), different=not withdraw)


OPEN_SIGHTING_COMMANDS = (groups, enrol_sightings, mark_different)
