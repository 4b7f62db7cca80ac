"""The lists that can be exported: vessels, matches, and the track of a vessel."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from service.api.exports.geojson import Json, feature, line, point
from service.api.exports.responses import Exported, ExportPage
from service.api.exports.rows import (
    MATCH_COLUMNS,
    POSITION_COLUMNS,
    VESSEL_COLUMNS,
    last_position,
    match_row,
    position_row,
    track,
    vessel_row,
)
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import MatchFilter
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel, VesselFilter


def exported_vessels(gallery: Gallery, where: VesselFilter) -> Exported:
    """Return the vessels that pass the filter, each at its last known position."""
    return Exported("vessels", VESSEL_COLUMNS, partial(_vessels, gallery, where))


def exported_matches(matches: MatchStore, where: MatchFilter) -> Exported:
    """Return the matches that pass the filter, each at the position of its query."""
    return Exported("matches", MATCH_COLUMNS, partial(_matches, matches, where))


def exported_track(vessel: Vessel, sightings: Sequence[Sighting]) -> Exported:
    """Return the positions of a vessel in order of time; as GeoJSON, also the line through them."""

    def fetch(_limit: int, _cursor: str | None) -> ExportPage:
        positions = track(sightings)
        rows = [position_row(one) for one in positions]
        features = [
            feature(str(one.id), point(one.position), row)
            for one, row in zip(positions, rows, strict=True)
        ]
        way = line([one.position for one in positions if one.position])
        if way is not None:
            features.append(
                feature(str(vessel.id), way, {"vessel_id": str(vessel.id), "name": vessel.name})
            )
        return ExportPage(rows, features, None)

    return Exported(f"track-{vessel.id}", POSITION_COLUMNS, fetch)


def _vessels(gallery: Gallery, where: VesselFilter, limit: int, cursor: str | None) -> ExportPage:
    page = gallery.list_vessels(where, limit, cursor)
    owned: defaultdict[UUID | None, list[Sighting]] = defaultdict(list)
    for sighting in gallery.sightings_of([vessel.id for vessel in page.vessels]):
        owned[sighting.vessel_id].append(sighting)
    rows, features = [], list[Json]()
    for vessel in page.vessels:
        rows.append(vessel_row(vessel, owned[vessel.id]))
        last = last_position(owned[vessel.id])
        features.append(feature(str(vessel.id), point(last.position if last else None), rows[-1]))
    return ExportPage(rows, features, page.next_cursor)


def _matches(matches: MatchStore, where: MatchFilter, limit: int, cursor: str | None) -> ExportPage:
    page = matches.page(where, limit, cursor)
    rows = [match_row(record) for record in page.matches]
    features = [
        feature(str(record.id), point(record.match.query.position), row)
        for record, row in zip(page.matches, rows, strict=True)
    ]
    return ExportPage(rows, features, page.next_cursor)
