"""`crossfix matches | judge | vessels | show | merge | split | export`: the analyst's commands."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli import common
from service.client import DEFAULT_URL

if TYPE_CHECKING:
    from uuid import UUID

    from service.client.remote.call import Call
    from service.client.remote.client import Client
    from service.client.remote.models import MatchRecord, VesselDetail

VesselArgument = Annotated[
    str, typer.Argument(help="Id, IMO number, MMSI or name.", metavar="VESSEL")
]
Limit = Annotated[int, typer.Option(help="How many at most; 0: all.", min=0)]
ExportFormat = Annotated[
    Literal["csv", "geojson"],
    typer.Option("--format", help="CSV or GeoJSON.", case_sensitive=False),
]
Out = Annotated[
    Path | None, typer.Option(help="The file to write.", show_default="standard output")
]
Since = Annotated[str | None, typer.Option(help="Asked at this time or later, e.g. 2026-03-05.")]
Until = Annotated[str | None, typer.Option(help="Asked before this time.")]
Standing = Annotated[
    Literal["open", "confirmed", "rejected"] | None,
    typer.Option(help="What analysts decided.", case_sensitive=False),
]
State = Annotated[
    Literal["asked", "new", "settled"] | None,
    typer.Option(help="`new`: found by the service, and not decided yet.", case_sensitive=False),
]
Verdict = Annotated[
    Literal["confident", "likely", "ambiguous", "no_match", "unclear"] | None,
    typer.Option(help="What the service answered.", case_sensitive=False),
]
Case = Annotated[str | None, typer.Option(help="The case of the chip.")]
ChipName = Annotated[str | None, typer.Option(help="Part of the chip's file name.")]
Remark = Annotated[str | None, typer.Option("--note", help="Part of the note on the chip.")]
Name = Annotated[str | None, typer.Option(help="Name, or a part of it.")]
Type = Annotated[str | None, typer.Option("--type", help="Registered type.")]

export_app = typer.Typer(help="Save lists and reports as files.", no_args_is_help=True)


def matches(
    url: common.Url = DEFAULT_URL,
    verdict: Verdict = None,
    standing: Standing = None,
    state: State = None,
    case: Case = None,
    file_name: ChipName = None,
    note: Remark = None,
    vessel: Annotated[
        str | None, typer.Option(help="A candidate or the confirmed vessel: id, IMO, MMSI, name.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: common.AsJson = False,
) -> None:
    """List the stored matches, newest first."""
    from service.client.desk_tables import show_matches

    with common.open_client(url) as client:
        where = common.given(
            verdict=verdict,
            standing=standing,
            state=state,
            case=case,
            file_name=file_name,
            note=note,
            vessel_id=None if vessel is None else find_vessel(client, vessel),
            since=since,
            until=until,
        )
        found = list(islice(client.matches(**where), limit or None))
    common.print_result(found, as_json, show_matches)


def judge(
    match_id: Annotated[str, typer.Argument(help="Id of the match.", metavar="MATCH")],
    confirm: Annotated[
        str | None,
        typer.Option(help="It shows this vessel: id, IMO, MMSI, name.", metavar="VESSEL"),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="It shows the candidate of this rank.", min=1)
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="It shows no candidate.")] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="The last judgement no longer applies.")
    ] = False,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    url: common.Url = DEFAULT_URL,
    as_json: common.AsJson = False,
) -> None:
    """Record what an analyst decides about a match: one of `--confirm`, `--rank`, `--reject`,
    `--withdraw`.
    """
    if sum([confirm is not None, rank is not None, reject, withdraw]) != 1:
        common.fail("give one of --confirm, --rank, --reject and --withdraw", common.USAGE)
    with common.open_client(url) as client:
        if reject or withdraw:
            record = client.judge(match_id, "rejected" if reject else "withdrawn", note=note)
        else:
            if confirm is not None:
                vessel_id = find_vessel(client, confirm)
            else:
                vessel_id = _candidate(client, match_id, rank or 1)
            record = client.judge(match_id, "confirmed", vessel_id=vessel_id, note=note)
    _print_match(record, as_json)


def vessels(
    url: common.Url = DEFAULT_URL,
    name: Name = None,
    imo: Annotated[str | None, typer.Option(help="IMO number.")] = None,
    mmsi: Annotated[str | None, typer.Option(help="MMSI.")] = None,
    type_: Type = None,
    limit: Limit = 20,
    as_json: common.AsJson = False,
) -> None:
    """List the registered vessels."""
    from service.client.desk_tables import show_vessels

    with common.open_client(url) as client:
        where = common.given(name=name, imo=imo, mmsi=mmsi, type=type_)
        found = list(islice(client.vessels(**where), limit or None))
    common.print_result(found, as_json, show_vessels)


def show(
    what: Annotated[
        str,
        typer.Argument(help="Id of a match; or a vessel's id, IMO, MMSI or name.", metavar="ID"),
    ],
    url: common.Url = DEFAULT_URL,
    as_json: common.AsJson = False,
) -> None:
    """Show a match with its judgements, or a vessel with its sightings."""
    from service.client.errors import RefusedError

    with common.open_client(url) as client:
        if as_uuid(what) is not None:
            try:
                record = client.get_match(what)
            except RefusedError as error:
                if error.status != 404:
                    raise
            else:
                _print_match(record, as_json)
                return
        vessel = client.get_vessel(find_vessel(client, what))
    _print_vessel(vessel, as_json)


def merge(
    vessel: VesselArgument,
    other: Annotated[
        str, typer.Argument(help="The vessel that becomes part of it.", metavar="OTHER")
    ],
    url: common.Url = DEFAULT_URL,
    as_json: common.AsJson = False,
) -> None:
    """Merge two records of one ship; the first vessel keeps its attributes."""
    with common.open_client(url) as client:
        merged = client.merge(find_vessel(client, vessel), find_vessel(client, other))
    _print_vessel(merged, as_json)


def split(
    vessel: VesselArgument,
    sightings: Annotated[
        list[str], typer.Argument(help="Ids of the sightings to move.", metavar="SIGHTING…")
    ],
    name: common.NewName = None,
    imo: common.NewImo = None,
    mmsi: common.NewMmsi = None,
    type_: common.NewType = None,
    url: common.Url = DEFAULT_URL,
    as_json: common.AsJson = False,
) -> None:
    """Move sightings that show another ship to a new vessel."""
    attributes = common.given(name=name, imo=imo, mmsi=mmsi, type=type_)
    with common.open_client(url) as client:
        made = client.split(find_vessel(client, vessel), sightings, attributes)
    _print_vessel(made, as_json)


@export_app.command("matches")
def export_matches(
    form: ExportFormat = "csv",
    out: Out = None,
    url: common.Url = DEFAULT_URL,
    verdict: Verdict = None,
    standing: Standing = None,
    state: State = None,
    case: Case = None,
    file_name: ChipName = None,
    note: Remark = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Save all matches that pass the filters."""
    from service.client.remote import calls

    where = common.given(
        verdict=verdict,
        standing=standing,
        state=state,
        case=case,
        file_name=file_name,
        note=note,
        since=since,
        until=until,
    )
    with common.open_client(url) as client:
        _save(client, calls.export_matches(form, **where), out)


@export_app.command("vessels")
def export_vessels(
    form: ExportFormat = "csv",
    out: Out = None,
    url: common.Url = DEFAULT_URL,
    name: Name = None,
    type_: Type = None,
) -> None:
    """Save all vessels that pass the filters, with their last known positions."""
    from service.client.remote import calls

    with common.open_client(url) as client:
        _save(client, calls.export_vessels(form, **common.given(name=name, type=type_)), out)


@export_app.command("track")
def export_track(
    vessel: VesselArgument,
    form: ExportFormat = "csv",
    out: Out = None,
    url: common.Url = DEFAULT_URL,
) -> None:
    """Save where and when a vessel was."""
    from service.client.remote import calls

    with common.open_client(url) as client:
        _save(client, calls.export_track(find_vessel(client, vessel), form), out)


@export_app.command("report")
def export_report(
    match_id: Annotated[str, typer.Argument(help="Id of the match.", metavar="MATCH")],
    out: Out = None,
    url: common.Url = DEFAULT_URL,
) -> None:
    """Save the evidence report of a match: one page of HTML for print."""
    from service.client.remote import calls

    with common.open_client(url) as client:
        _save(client, calls.report(match_id), out)


def find_vessel(client: "Client", text: str) -> "UUID":
    """Return the id of the vessel that is named by id, IMO number, MMSI, or part of its name.

    Raises:
        SourceError: none or several are named so.
    """
    from service.client.errors import SourceError

    vessel_id = as_uuid(text)
    if vessel_id is not None:
        return vessel_id
    keys = {7: "imo", 9: "mmsi"}
    key = keys.get(len(text), "name") if text.isdecimal() else "name"
    found = list(islice(client.vessels(**{key: text}), 10))  # type: ignore[arg-type]
    exact = [one for one in found if one.name and one.name.casefold() == text.casefold()]
    if len(exact or found) == 1:
        return (exact or found)[0].id
    if not found:
        raise SourceError(f"no registered vessel has the {key} {text!r}")
    named = ", ".join(f"{one.label} ({one.id})" for one in found[:5])
    raise SourceError(f"{text!r} names several vessels; give one's id: {named}")


def as_uuid(text: str) -> "UUID | None":
    """Return the UUID that a text is; None for another text."""
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        return None


def _candidate(client: "Client", match_id: str, rank: int) -> "UUID":
    from service.client.errors import SourceError

    candidates = client.get_match(match_id).candidates
    if rank > len(candidates):
        raise SourceError(f"match {match_id} has {len(candidates)} candidates, none of rank {rank}")
    return candidates[rank - 1].vessel.id


def _save(client: "Client", call: "Call[bytes]", out: Path | None) -> None:
    """Write a response to a file, or to standard output."""
    if out is None:
        sys.stdout.buffer.write(client.send(call))
    else:
        size = client.save(call, out)
        print(f"{size} bytes in {out}")


def _print_match(record: "MatchRecord", as_json: bool) -> None:
    from service.client.desk_tables import show_match

    common.print_result(record, as_json, show_match)


def _print_vessel(vessel: "VesselDetail", as_json: bool) -> None:
    from service.client.desk_tables import show_vessel

    common.print_result(vessel, as_json, show_vessel)


DESK_COMMANDS = (matches, judge, vessels, show, merge, split)
