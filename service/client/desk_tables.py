"""Print match records, vessels and tracks in a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from service.client.remote.models import (
    MatchRecord,
    MatchSummary,
    SightingGroup,
    Vessel,
    VesselDetail,
    percent,
)
from service.client.tables import VERDICT_SHORT, plain_table, show_answer


def show_matches(on: Console, matches: Iterable[MatchSummary]) -> None:
    """Print one line for each match."""
    table = _table("match", "asked", "chip", "verdict", "first vessel", "probability", "decision")
    for one in matches:
        first, judgement = one.first, one.judgement
        decision = one.standing if judgement is None else f"{one.standing} by {judgement.by}"
        table.add_row(
            str(one.match_id),
            f"{one.asked_at:%Y-%m-%d %H:%M}",
            escape(one.query.file_name or one.query.sha256[:12]),
            VERDICT_SHORT[one.verdict],
            escape(first.vessel.label) if first else "",
            percent(first.probability) if first else "",
            escape(decision),
        )
    on.print(table if table.row_count else "no such match", soft_wrap=True)


def show_match(on: Console, record: MatchRecord) -> None:
    """Print a match as it was answered, and its judgements."""
    show_answer(on, record.query.file_name or record.query.sha256[:12], record)
    on.print(f"  asked {record.asked_at:%Y-%m-%d %H:%M:%S} UTC by {escape(record.asked_by)}")
    for one in record.judgements:
        vessel = f" as {one.vessel_id}" if one.vessel_id else ""
        note = f": {one.note}" if one.note else ""
        words = f"  {one.at:%Y-%m-%d %H:%M:%S} UTC {one.decision}{vessel} by {one.by}{note}"
        on.print(escape(words), soft_wrap=True)
    if not record.judgements:
        on.print("  nobody has judged this match")


def show_vessels(on: Console, vessels: Iterable[Vessel]) -> None:
    """Print one line for each vessel."""
    table = _table("vessel", "name", "IMO", "MMSI", "type", "flag", "length")
    for one in vessels:
        texts = (one.name, one.imo, one.mmsi, one.type, one.flag)
        length = "" if one.length_m is None else f"{one.length_m:g} m"
        table.add_row(str(one.id), *(escape(text or "") for text in texts), length)
    on.print(table if table.row_count else "no such vessel", soft_wrap=True)


def show_vessel(on: Console, vessel: VesselDetail) -> None:
    """Print a vessel with the sources of its attributes, and its sightings."""
    on.print(f"[bold]{escape(vessel.label)}[/]  {vessel.id}", soft_wrap=True)
    for name, origin in sorted(vessel.provenance.items()):
        value = getattr(vessel, name, None)
        if value is not None:
            words = f"  {name} {value} ({origin.source}, {origin.as_of:%Y-%m-%d})"
            on.print(escape(words), soft_wrap=True)
    for warning in vessel.warnings:
        on.print(f"  [yellow]note[/] {escape(warning)}", soft_wrap=True)
    table = _table("sighting", "sensor", "captured", "position", "size", "file")
    for one in vessel.sightings:
        at = f"{one.position.lat:.4f}, {one.position.lon:.4f}" if one.position else ""
        table.add_row(
            str(one.id),
            one.modality,
            f"{one.captured_at:%Y-%m-%d %H:%M}" if one.captured_at else "",
            at,
            f"{one.length_m:.0f} m x {one.width_m:.0f} m",
            escape(one.file_name or ""),
        )
    on.print(table, soft_wrap=True)


def show_groups(on: Console, groups: Iterable[SightingGroup]) -> None:
    """Print the sightings of each group, and how probable it is that they show one ship."""
    table = _table("sighting", "match", "probability", "sensor", "captured", "file")
    for group in groups:
        said = "sent as one ship" if group.probability is None else percent(group.probability, 0)
        table.add_row(f"[bold]{group.chips} chips that may show one ship[/]", "", said)
        for one in group.sightings:
            shown = one.sighting
            table.add_row(
                f"  {shown.id}",
                str(one.match_id),
                "" if one.probability is None else percent(one.probability, 0),
                shown.modality,
                f"{shown.captured_at:%Y-%m-%d %H:%M}" if shown.captured_at else "",
                escape(shown.file_name or ""),
            )
    on.print(table if table.row_count else "no chips look like one ship", soft_wrap=True)


def _table(*headings: str) -> Table:
    return plain_table(*(Column(heading, no_wrap=True) for heading in headings))
