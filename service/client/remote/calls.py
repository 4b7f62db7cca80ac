"""Every request that the clients can send, with typed arguments and results.

`Client` and `AsyncClient` offer these functions as methods of the same names.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from service.client.remote.call import (
    Call,
    ChipSource,
    Listing,
    Reply,
    as_part,
    decoded,
    json_text,
    metadata_field,
    reads,
    reads_page,
    validated,
)
from service.client.remote.models import (
    Bundle,
    Decision,
    EnrolledVessel,
    Match,
    MatchRecord,
    MatchSummary,
    Modality,
    Scene,
    SightingGroup,
    Standing,
    State,
    Track,
    Verdict,
    Verification,
    Vessel,
    VesselDetail,
)

Id = UUID | str
Time = datetime | str
ExportFormat = Literal["csv", "geojson"]
Framing = Literal["auto", "as_is"]
MEDIA = {"csv": "text/csv", "geojson": "application/geo+json"}
PAGE_LENGTH = 100
GROUPS_PAGE_LENGTH = 50


def match(
    chip: ChipSource,
    *,
    more_chips: Sequence[ChipSource] = (),
    modality: Modality | None = None,
    gsd_m: float | None = None,
    band: int | None = None,
    framing: Framing | None = None,
    captured_at: Time | None = None,
    lat: float | None = None,
    lon: float | None = None,
    sensor: str | None = None,
    case: str | None = None,
    note: str | None = None,
    top_k: int | None = None,
    max_speed_kn: float | None = None,
    vessel_type: str | None = None,
    length_tolerance: float | None = None,
    store: bool | None = None,
    **more: object,
) -> Call[Match]:
    """Rank the registered vessels by the probability that a chip shows them.

    `more_chips` are other chips of the same ship, which get one answer together; what is stated
    holds for all. Arguments that are None are not sent. `more` holds fields that this version does
    not name.
    """
    part = as_part(chip)
    stated = {
        "modality": modality,
        "gsd_m": gsd_m,
        "band": band,
        "framing": framing,
        "captured_at": captured_at,
        "lat": lat,
        "lon": lon,
        "sensor": sensor,
        "case": case,
        "note": note,
        "top_k": top_k,
        "max_speed_kn": max_speed_kn,
        "vessel_type": vessel_type,
        "length_tolerance": length_tolerance,
        "store": store,
        **more,
    }
    form = {**part.metadata, **{name: one for name, one in stated.items() if one is not None}}
    parts = [part, *(as_part(one) for one in more_chips)]
    return Call("POST", "/match", reads(Match), form=form, files=("chip", parts))


def match_scene(chips: Sequence[ChipSource], **fields: object) -> Call[Scene]:
    """Rank the registered vessels for the chips of one image together.

    `fields` are those of `match`, for all chips; what a chip's own part says counts more.
    """
    parts = [as_part(chip) for chip in chips]
    stated = {name: value for name, value in fields.items() if value is not None}
    form = {**stated, "chip_metadata": metadata_field(parts)}
    return Call("POST", "/match/scene", reads(Scene), form=form, files=("chips", parts))


def verify(
    first: ChipSource,
    second: ChipSource,
    *,
    framing: Framing | None = None,
    max_speed_kn: float | None = None,
    prior: float | None = None,
) -> Call[Verification]:
    """Estimate the probability that two chips show the same vessel; nothing is stored."""
    chips = [as_part(first), as_part(second)]
    form = {
        "chip_metadata": metadata_field(chips),
        "framing": framing,
        "max_speed_kn": max_speed_kn,
        "prior": prior,
    }
    return Call("POST", "/verify", reads(Verification), form=form, files=("chips", chips))


def matches(
    *,
    verdict: Verdict | None = None,
    standing: Standing | None = None,
    state: State | None = None,
    modality: Modality | None = None,
    vessel_id: Id | None = None,
    sighting_id: Id | None = None,
    case: str | None = None,
    file_name: str | None = None,
    note: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    page_length: int = PAGE_LENGTH,
) -> Listing[MatchSummary]:
    """List the stored matches that pass the filters, newest first."""
    where = {
        "verdict": verdict,
        "standing": standing,
        "state": state,
        "modality": modality,
        "vessel_id": vessel_id,
        "sighting_id": sighting_id,
        "case": case,
        "file_name": file_name,
        "note": note,
        "since": since,
        "until": until,
        "limit": page_length,
    }
    return Listing(Call("GET", "/matches", reads_page(MatchSummary, "matches"), query=where))


def get_match(match_id: Id) -> Call[MatchRecord]:
    """Show a match as it was answered, with its judgements."""
    return Call("GET", f"/matches/{match_id}", reads(MatchRecord))


def judge(
    match_id: Id, decision: Decision, *, vessel_id: Id | None = None, note: str | None = None
) -> Call[MatchRecord]:
    """Judge a match: `confirmed` with a vessel, `rejected`, or `withdrawn`."""
    body = {"decision": decision, "vessel_id": vessel_id, "note": note}
    path = f"/matches/{match_id}/verdict"
    return Call("POST", path, reads(MatchRecord), body=_known(body), once=True)


def report(match_id: Id) -> Call[bytes]:
    """Return the evidence report of a match, HTML in UTF-8."""
    return Call("GET", f"/matches/{match_id}/report", _content, accept="text/html")


def groups(*, page_length: int = GROUPS_PAGE_LENGTH) -> Listing[SightingGroup]:
    """List groups of open sightings that may show one unknown ship, the largest first."""
    read = reads_page(SightingGroup, "groups")
    return Listing(Call("GET", "/sightings/open/groups", read, query={"limit": page_length}))


def enrol_sightings(
    sightings: Sequence[Id], vessel: Mapping[str, object] | None = None
) -> Call[EnrolledVessel]:
    """Register a new vessel with open sightings as its chips, and confirm their matches."""
    body = {"sightings": list(sightings), "vessel": dict(vessel or {})}
    return Call("POST", "/sightings/open/enrol", _enrolled, body=body, once=True)


def part_sightings(
    sightings: Sequence[Id], *, others: Sequence[Id] = (), different: bool = True
) -> Call[None]:
    """Record that each of these open sightings shows another ship than all others named.

    Args:
        sightings: the sightings.
        others: sightings that may show one ship among themselves.
        different: False withdraws what was said before.
    """
    body = {"sightings": list(sightings), "others": list(others), "different": different}
    return Call("POST", "/sightings/open/part", _nothing, body=body, once=True)


def vessels(
    *,
    name: str | None = None,
    imo: str | None = None,
    mmsi: str | None = None,
    type: str | None = None,  # noqa: A002
    page_length: int = PAGE_LENGTH,
) -> Listing[Vessel]:
    """List the registered vessels that pass the filters."""
    where = {"name": name, "imo": imo, "mmsi": mmsi, "type": type, "limit": page_length}
    return Listing(Call("GET", "/gallery", reads_page(Vessel, "vessels"), query=where))


def get_vessel(vessel_id: Id) -> Call[VesselDetail]:
    """Show a vessel with its sightings."""
    return Call("GET", f"/gallery/{vessel_id}", reads(VesselDetail))


def track(vessel_id: Id) -> Call[Track]:
    """Show where and when a vessel was."""
    return Call("GET", f"/gallery/{vessel_id}/track", reads(Track))


def enrol(vessel: Mapping[str, object], chips: Sequence[ChipSource]) -> Call[EnrolledVessel]:
    """Register a vessel with its chips, or add missing chips to a registered one.

    Args:
        vessel: name, imo, mmsi, callsign, flag, type, length_m, beam_m; source, as_of and id.
        chips: at least one.
    """
    parts = [as_part(chip) for chip in chips]
    form = {"vessel": json_text(vessel), "chip_metadata": metadata_field(parts)}
    return Call("POST", "/gallery", _enrolled, form=form, files=("chips", parts))


def add_chips(vessel_id: Id, chips: Sequence[ChipSource]) -> Call[VesselDetail]:
    """Add sightings to a registered vessel; chips that it has already change nothing."""
    parts = [as_part(chip) for chip in chips]
    form = {"chip_metadata": metadata_field(parts)}
    path = f"/gallery/{vessel_id}/chips"
    return Call("POST", path, reads(VesselDetail), form=form, files=("chips", parts))


def remove_chip(vessel_id: Id, sighting_id: Id) -> Call[None]:
    """Remove a sighting of a vessel."""
    return Call("DELETE", f"/gallery/{vessel_id}/chips/{sighting_id}", _nothing)


def update_vessel(vessel_id: Id, changes: Mapping[str, object]) -> Call[Vessel]:
    """Change attributes of a vessel; None makes an attribute unknown."""
    return Call("PATCH", f"/gallery/{vessel_id}", reads(Vessel), body=changes)


def delete_vessel(vessel_id: Id) -> Call[None]:
    """Delete a vessel; its sightings become open."""
    return Call("DELETE", f"/gallery/{vessel_id}", _nothing)


def restore_vessel(vessel_id: Id) -> Call[VesselDetail]:
    """Undo the deletion of a vessel."""
    return Call("POST", f"/gallery/{vessel_id}/restore", reads(VesselDetail), once=True)


def merge(vessel_id: Id, other_id: Id) -> Call[VesselDetail]:
    """Merge another vessel into this vessel, because both are the same ship."""
    body = {"other": other_id}
    path = f"/gallery/{vessel_id}/merge"
    return Call("POST", path, reads(VesselDetail), body=body, once=True)


def split(
    vessel_id: Id, sightings: Sequence[Id], vessel: Mapping[str, object] | None = None
) -> Call[VesselDetail]:
    """Move sightings that show another ship to a new vessel with these attributes."""
    body = {"sightings": list(sightings), "vessel": dict(vessel or {})}
    path = f"/gallery/{vessel_id}/split"
    return Call("POST", path, reads(VesselDetail), body=body, once=True)


def export_matches(format: ExportFormat = "csv", **where: object) -> Call[bytes]:  # noqa: A002
    """Return all matches that pass the filters of `matches` as one CSV or GeoJSON file."""
    return _exported("/matches", format, where)


def export_vessels(format: ExportFormat = "csv", **where: object) -> Call[bytes]:  # noqa: A002
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


def bundle() -> Call[Bundle]:
    """Return the active bundle, its manifest and its model card."""
    return Call("GET", "/bundle", reads(Bundle))


def _exported(path: str, kind: ExportFormat, where: Mapping[str, object]) -> Call[bytes]:
    return Call("GET", path, _content, query=where, accept=MEDIA[kind])


def _enrolled(reply: Reply) -> EnrolledVessel:
    document = decoded(reply.content)
    if isinstance(document, dict):
        document["created"] = reply.status == 201
    return validated(EnrolledVessel, document)


def _content(reply: Reply) -> bytes:
    return reply.content


def _nothing(_: Reply) -> None:
    return None


def _known(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}
