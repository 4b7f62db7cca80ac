"""Collect from a service what analysts confirmed and rejected."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.client.errors import RefusedError
from service.client.remote.client import Client
from service.client.remote.models import (
    Judgement,
    MatchRecord,
    MatchSummary,
    Query,
    Sighting,
    VesselDetail,
)

_SIMULATED = "simulat"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not in the data set, and why."""

    kind: str
    id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The judgement that a match shows a vessel."""

    match_id: UUID
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ship:
    """A vessel with a confirmed match, and its sightings of both sensors, oldest first.

    Attributes:
        confirmed: the latest confirmation of each sighting that has one; the others were enrolled.
    """

    vessel: VesselDetail
    sightings: tuple[Sighting, ...]
    confirmed: dict[UUID, Confirmation]

    @property
    def number(self) -> int:
        """The ship's id in the data set: the last 48 bits of its UUID, the same in each export."""
        return self.vessel.id.node

    @property
    def is_simulated(self) -> bool:
        """Whether a sighting's source or licence says that it is simulated.

        A chip that was only asked about has neither, so the ship's other chips speak for it.
        """
        return any(is_simulated(sighting) for sighting in self.sightings)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A query of which an analyst said that it shows none of these vessels."""

    match: MatchRecord
    judgement: Judgement


@dataclass(slots=True)
class Archive:
    """The judged matches of a service."""

    ships: list[Ship] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_archive(client: Client, advance: Callable[[int], object] = lambda _: None) -> Archive:
    """Ask a service for its judged matches and the sightings of the confirmed vessels.

    Args:
        advance: called with 1 after each judged match and each vessel.

    Raises:
        ClientError: the service does not answer, or refuses.
    """
    archive = Archive()
    confirmed: dict[UUID, dict[UUID, Confirmation]] = {}
    for record, judgement in _judged(client, client.matches(standing="confirmed"), advance):
        vessel_id = None if record.sighting is None else record.sighting.vessel_id
        if vessel_id is None:
            gone = "its sighting was deleted, or has no vessel any more"
            archive.left_out.append(LeftOut("match", record.match_id, gone))
            continue
        confirmation = Confirmation(record.match_id, judgement.by, judgement.at)
        of_vessel = confirmed.setdefault(vessel_id, {})
        for sighting_id in _sighting_ids(record):
            known = of_vessel.get(sighting_id)
            if known is None or known.at < confirmation.at:
                of_vessel[sighting_id] = confirmation
    for record, judgement in _judged(client, client.matches(standing="rejected"), advance):
        archive.rejections.append(Rejection(record, judgement))
    vessels = []
    for vessel_id in confirmed:
        try:
            vessels.append(client.get_vessel(vessel_id))
        except RefusedError as error:  # deleted in the meantime
            archive.left_out.append(LeftOut("vessel", vessel_id, str(error)))
        advance(1)
    shared = _shared_chips(vessels)
    for vessel in sorted(vessels, key=lambda one: (one.created_at, one.id)):
        _add_ship(archive, vessel, confirmed[vessel.id], shared)
    return archive


def is_simulated(sighting: Sighting) -> bool:
    """Whether a sighting's source or licence says that it is simulated."""
    return _SIMULATED in f"{sighting.source} {sighting.licence}".casefold()


def _judged(
    client: Client, summaries: Iterator[MatchSummary], advance: Callable[[int], object]
) -> Iterator[tuple[MatchRecord, Judgement]]:
    """Yield the whole records of matches with the judgement in force."""
    for summary in summaries:
        record = client.get_match(summary.match_id)
        advance(1)
        if record.standing == summary.standing and record.judgements:
            yield record, record.judgements[-1]


def _sighting_ids(record: MatchRecord) -> set[UUID]:
    queries: Sequence[Query] = record.queries or (record.query,)
    return {query.sighting_id for query in queries if query.sighting_id is not None}


def _shared_chips(vessels: Sequence[VesselDetail]) -> set[str]:
    """Return the digests of chips that more than one vessel has: one of them must be wrong."""
    owners: dict[str, set[UUID]] = {}
    for vessel in vessels:
        for sighting in vessel.sightings:
            owners.setdefault(sighting.sha256, set()).add(vessel.id)
    return {digest for digest, of in owners.items() if len(of) > 1}


def _add_ship(
    archive: Archive, vessel: VesselDetail, confirmed: dict[UUID, Confirmation], shared: set[str]
) -> None:
    """Add a vessel with those of its sightings that can be used, or say why it has none."""
    sightings: dict[str, Sighting] = {}
    for sighting in sorted(vessel.sightings, key=lambda one: (one.recorded_at, one.id)):
        known = sightings.get(sighting.sha256)
        if sighting.sha256 in shared:
            reason = "another vessel has the same chip"
        elif known is not None and (known.id in confirmed or sighting.id not in confirmed):
            reason = "the vessel has the chip twice"
        else:
            if known is not None:
                duplicate = LeftOut("sighting", known.id, "the vessel has the chip twice")
                archive.left_out.append(duplicate)
            sightings[sighting.sha256] = sighting
            continue
        archive.left_out.append(LeftOut("sighting", sighting.id, reason))
    archive.ships.append(Ship(vessel, tuple(sightings.values()), confirmed))
