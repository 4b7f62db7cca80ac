"""Every request that the clients can send, with typed arguments and results.

`Client` and `AsyncClient` offer these functions as methods of the same names. Those that send chips
raise SourceError if a file cannot be read.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypedDict, TypeVar, Unpack
from uuid import UUID

import httpx

from service.client.remote import models
from service.client.remote.call import (
    Call,
    ChipSource,
    as_part,
    decoded,
    json_text,
    reads,
    validated,
)

T = TypeVar("T")
Id = UUID | str
Time = datetime | str
ExportFormat = Literal["csv", "geojson"]
Framing = Literal["auto", "as_is"]
MEDIA = {"csv": "text/csv", "geojson": "application/geo+json"}
PAGE_LENGTH = 100
GROUPS_PAGE_LENGTH = 50


class MatchFields(TypedDict, total=False):
    """Facts about a query chip and options of the search; None is not sent.

    Attributes:
        modality: `sar` or `optical`; None: as the file says.
        gsd_m: ground sampling distance, metres per pixel.
        band: number of the band of a SAR file.
        framing: `auto` finds the ship and crops it upright; `as_is` leaves the pixels unchanged.
        captured_at: time of the picture; a text is ISO 8601.
        lat: WGS 84, degrees.
        lon: WGS 84, degrees.
        sensor: e.g. `TerraSAR-X`.
        case: the analyst's case, a filter of `matches`.
        note: a remark, stored with the match.
        top_k: how many vessels to rank, 1 to 100; 5 unless given.
        max_speed_kn: fastest possible voyage in knots, 30 unless given.
        vessel_type: search only vessels of this type.
        looks_like: vessel type that the analyst sees, as evidence.
        length_tolerance: search only vessels whose registered length fits; relative, 0 to 1.
        store: whether the service stores chip and match; True unless given.
    """

    modality: models.Modality | None
    gsd_m: float | None
    band: int | None
    framing: Framing | None
    captured_at: Time | None
    lat: float | None
    lon: float | None
    sensor: str | None
    case: str | None
    note: str | None
    top_k: int | None
    max_speed_kn: float | None
    vessel_type: str | None
    looks_like: str | None
    length_tolerance: float | None
    store: bool | None


class MatchFilters(TypedDict, total=False):
    """Which matches are listed; what is None is not sent."""

    verdict: models.Verdict | None
    standing: models.Standing | None
    state: models.State | None
    modality: models.Modality | None
    vessel_id: Id | None
    sighting_id: Id | None
    case: str | None
    file_name: str | None
    note: str | None
    since: Time | None
    until: Time | None


class VesselFilters(TypedDict, total=False):
    """Which vessels are listed; what is None is not sent."""

    name: str | None
    imo: str | None
    mmsi: str | None
    type: str | None


def match(
    chip: ChipSource, *, more_chips: Sequence[ChipSource] = (), **fields: Unpack[MatchFields]
) -> Call[models.Match]:
    """Rank the registered vessels by the probability that a chip shows them.

    Args:
        more_chips: other chips of the same ship, for one answer to all.
        **fields: hold for all chips and replace those of the `ChipPart`. Fields that this version
            does not name are sent, too.
    """
    part = as_part(chip)
    form = {**part.metadata, **_known(fields)}
    parts = [part, *(as_part(one) for one in more_chips)]
    return Call("POST", "/match", reads(models.Match), form=form, files=("chip", parts))


def match_scene(chips: Sequence[ChipSource], **fields: Unpack[MatchFields]) -> Call[models.Scene]:
    """Rank the registered vessels for the chips of one image together.

    Args:
        chips: of different ships, so that no vessel is proposed for two of them.
        **fields: hold for all chips; the metadata of a `ChipPart` replace them for that chip.
    """
    return _with_chips("/match/scene", reads(models.Scene), chips, fields)


def verify(
    first: ChipSource,
    second: ChipSource,
    *,
    framing: Framing | None = None,
    max_speed_kn: float | None = None,
    prior: float | None = None,
) -> Call[models.Verification]:
    """Estimate the probability that two chips show the same vessel; the service stores nothing.

    Args:
        framing: as in `MatchFields`.
        max_speed_kn: fastest possible voyage in knots, 30 unless given.
        prior: probability that two such chips show one vessel, before they are compared; above 0
            and below 1, one half unless given.
    """
    form = {"framing": framing, "max_speed_kn": max_speed_kn, "prior": prior}
    return _with_chips("/verify", reads(models.Verification), [first, second], form)


def matches(
    *, page_length: int = PAGE_LENGTH, **where: Unpack[MatchFilters]
) -> Call[models.Page[models.MatchSummary]]:
    """List the stored matches that pass the filters, newest first."""
    query = {**where, "limit": page_length}
    return Call("GET", "/matches", reads(models.Page[models.MatchSummary]), query=query)


def get_match(match_id: Id) -> Call[models.MatchRecord]:
    """Show a match as it was answered, with its judgements."""
    return Call("GET", f"/matches/{match_id}", reads(models.MatchRecord))


def judge(
    match_id: Id,
    decision: models.Decision,
    *,
    vessel_id: Id | None = None,
    note: str | None = None,
    seen: int | None = None,
) -> Call[models.MatchRecord]:
    """Judge a match: `confirmed` with a vessel, `rejected`, or `withdrawn`.

    With `seen`, it is refused unless the match has that many judgements.
    """
    body = {"decision": decision, "vessel_id": vessel_id, "note": note, "seen": seen}
    path = f"/matches/{match_id}/verdict"
    return Call("POST", path, reads(models.MatchRecord), body=_known(body), once=True)


def report(match_id: Id) -> Call[bytes]:
    """Return the evidence report of a match, HTML in UTF-8."""
    return Call("GET", f"/matches/{match_id}/report", _content, accept="text/html")


def groups(*, page_length: int = GROUPS_PAGE_LENGTH) -> Call[models.Page[models.SightingGroup]]:
    """List groups of open sightings that may show one unknown ship, the largest first."""
    read, query = reads(models.Page[models.SightingGroup]), {"limit": page_length}
    return Call("GET", "/sightings/open/groups", read, query=query)


def enrol_sightings(
    sightings: Sequence[Id], vessel: Mapping[str, object] | None = None
) -> Call[models.EnrolledVessel]:
    """Register a new vessel with open sightings as its chips, and confirm their matches."""
    body = {"sightings": list(sightings), "vessel": dict(vessel or {})}
    return Call("POST", "/sightings/open/enrol", _enrolled, body=body, once=True)


def mark_different(
    sightings: Sequence[Id], *, others: Sequence[Id] = (), different: bool = True
) -> Call[None]:
    """Record that each of these open sightings shows another ship than all others named.

    Args:
        others: sightings that may show one ship among themselves.
        different: False withdraws an earlier call.
    """
    body = {"sightings": list(sightings), "others": list(others), "different": different}
    return Call("POST", "/sightings/open/different", _nothing, body=body, once=True)


def vessels(
    *, page_length: int = PAGE_LENGTH, **where: Unpack[VesselFilters]
) -> Call[models.Page[models.Vessel]]:
    """List the registered vessels that pass the filters."""
    return Call(
        "GET", "/gallery", reads(models.Page[models.Vessel]), query={**where, "limit": page_length}
    )


def get_vessel(vessel_id: Id) -> Call[models.VesselDetail]:
    """Show a vessel with its sightings."""
    return Call("GET", f"/gallery/{vessel_id}", reads(models.VesselDetail))


def track(vessel_id: Id) -> Call[models.Track]:
    """Show where and when a vessel was."""
    return Call("GET", f"/gallery/{vessel_id}/track", reads(models.Track))


def enrol(vessel: Mapping[str, object], chips: Sequence[ChipSource]) -> Call[models.EnrolledVessel]:
    """Register a vessel with its chips, or add missing chips to a registered one.

    Args:
        vessel: name, imo, mmsi, callsign, flag, type, length_m, beam_m; source, as_of and id.
        chips: at least one.
    """
    return _with_chips("/gallery", _enrolled, chips, {"vessel": json_text(vessel)})


def add_chips(vessel_id: Id, chips: Sequence[ChipSource]) -> Call[models.VesselDetail]:
    """Add sightings to a registered vessel; chips that it has already change nothing."""
    return _with_chips(f"/gallery/{vessel_id}/chips", reads(models.VesselDetail), chips, {})


def remove_chip(vessel_id: Id, sighting_id: Id) -> Call[None]:
    """Remove a sighting of a vessel."""
    return Call("DELETE", f"/gallery/{vessel_id}/chips/{sighting_id}", _nothing)


def update_vessel(vessel_id: Id, changes: Mapping[str, object]) -> Call[models.Vessel]:
    """Change attributes of a vessel; None makes an attribute unknown."""
    return Call("PATCH", f"/gallery/{vessel_id}", reads(models.Vessel), body=changes)


def delete_vessel(vessel_id: Id) -> Call[None]:
    """Delete a vessel; its sightings become open."""
    return Call("DELETE", f"/gallery/{vessel_id}", _nothing)


def restore_vessel(vessel_id: Id) -> Call[models.VesselDetail]:
    """Undo the deletion of a vessel."""
    return Call("POST", f"/gallery/{vessel_id}/restore", reads(models.VesselDetail), once=True)


def merge(vessel_id: Id, other_id: Id) -> Call[models.VesselDetail]:
    """Merge another vessel into this vessel, because both are the same ship."""
    body = {"other": other_id}
    path = f"/gallery/{vessel_id}/merge"
    return Call("POST", path, reads(models.VesselDetail), body=body, once=True)


def split(
    vessel_id: Id, sightings: Sequence[Id], vessel: Mapping[str, object] | None = None
) -> Call[models.VesselDetail]:
    """Move sightings that show another ship to a new vessel with these attributes."""
    body = {"sightings": list(sightings), "vessel": dict(vessel or {})}
    path = f"/gallery/{vessel_id}/split"
    return Call("POST", path, reads(models.VesselDetail), body=body, once=True)


def export_matches(
    format: ExportFormat = "csv",  # noqa: A002
    **where: Unpack[MatchFilters],
) -> Call[bytes]:
    """Return all matches that pass the filters of `matches` as one CSV or GeoJSON file."""
    return _exported("/matches", format, where)


def export_vessels(
    format: ExportFormat = "csv",  # noqa: A002
    **where: Unpack[VesselFilters],
) -> Call[bytes]:
    """Return all vessels that pass the filters of `vessels` as one CSV or GeoJSON file."""
    return _exported("/gallery", format, where)


def export_track(vessel_id: Id, format: ExportFormat = "csv") -> Call[bytes]:  # noqa: A002
    """Return the track of a vessel as one CSV or GeoJSON file."""
    return _exported(f"/gallery/{vessel_id}/track", format, {})


def chip(sighting_id: Id) -> Call[bytes]:
    """Return the chip file of a sighting as it was uploaded."""
    return picture(f"/sightings/{sighting_id}/chip")


def preview(sighting_id: Id) -> Call[bytes]:
    """Return a picture of a sighting as the models see it, PNG."""
    return picture(f"/sightings/{sighting_id}/preview.png")


def pseudo_sar(sighting_id: Id) -> Call[bytes]:
    """Return the pseudo-SAR pictures of an optical sighting side by side, PNG; simulated."""
    return picture(f"/sightings/{sighting_id}/pseudo-sar.png")


def picture(path: str) -> Call[bytes]:
    """Return the bytes at a path, e.g. of a sighting's `preview_url`."""
    return Call("GET", path, _content, accept="*/*")


def bundle() -> Call[models.Bundle]:
    """Return the active bundle, its manifest and its model card."""
    return Call("GET", "/bundle", reads(models.Bundle))


def _with_chips(
    path: str,
    read: Callable[[httpx.Response], T],
    chips: Sequence[ChipSource],
    form: Mapping[str, object],
) -> Call[T]:
    """Describe a form with chips and the metadata of each."""
    parts = [as_part(chip) for chip in chips]
    metadata = json_text([part.metadata for part in parts])
    return Call(
        "POST", path, read, form={**form, "chip_metadata": metadata}, files=("chips", parts)
    )


def _exported(path: str, kind: ExportFormat, where: Mapping[str, object]) -> Call[bytes]:
    return Call("GET", path, _content, query=where, accept=MEDIA[kind])


def _enrolled(response: httpx.Response) -> models.EnrolledVessel:
    document = decoded(response.content)
    if isinstance(document, dict):
        document["created"] = response.status_code == 201
    return validated(models.EnrolledVessel, document)


def _content(response: httpx.Response) -> bytes:
    return response.content


def _nothing(_: httpx.Response) -> None:
    return None


def _known(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}
