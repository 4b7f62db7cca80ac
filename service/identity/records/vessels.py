"""Vessels: their attributes, the source of each attribute, and lists of vessels."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

from service.contract.utc_time import UtcTime
from service.identity.records.base import RECORDED, Line, Record, StatedFacts, Text, only_when_new
from service.identity.records.identifiers import normalise_imo, normalise_mmsi


def _written_out(value: object) -> object:
    """Write a number as text; clients send IMO numbers as either."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Imo = Annotated[str, BeforeValidator(_written_out), AfterValidator(only_when_new(normalise_imo))]
Mmsi = Annotated[str, BeforeValidator(_written_out), AfterValidator(only_when_new(normalise_mmsi))]


class VesselAttributes(StatedFacts):
    """The attributes of a vessel; each may be unknown, none may be a placeholder."""

    name: Text | None = None
    imo: Imo | None = None
    mmsi: Mmsi | None = None
    callsign: Text | None = None
    flag: Text | None = None
    type: Text | None = None
    length_m: float | None = Field(None, gt=1, le=500)
    beam_m: float | None = Field(None, gt=0.5, le=100)

    def known_attributes(self) -> dict[str, object]:
        """Return the attributes that have a value, as JSON values."""
        return self.model_dump(mode="json", include=set(ATTRIBUTE_NAMES), exclude_none=True)


def require_longer_than_wide(ship: VesselAttributes) -> None:
    """Raise ValueError if the beam, which is the width of a ship, is more than its length."""
    if ship.length_m is not None and ship.beam_m is not None and ship.beam_m > ship.length_m:
        raise ValueError(
            f"beam_m {ship.beam_m:g} is more than length_m {ship.length_m:g}; the beam is the "
            "width of the ship"
        )


ATTRIBUTE_NAMES = tuple(VesselAttributes.model_fields)


class Provenance(Record):
    """The source of an attribute, and the time as of which it holds."""

    source: str = Field(max_length=500)
    as_of: UtcTime


class VesselState(StrEnum):
    """The state of a vessel during a change of several writes.

    Only `active` and `syncing` vessels are visible. `enrolling`, `syncing` and `deleting` are
    changes under way; recovery finishes or undoes those that were interrupted. `deleted` is the
    tombstone of a vessel that can be restored for some time, `merged` that of a vessel that became
    part of another.
    """

    ENROLLING = "enrolling"
    ACTIVE = "active"
    SYNCING = "syncing"
    DELETING = "deleting"
    DELETED = "deleted"
    MERGED = "merged"

    @property
    def visible(self) -> bool:
        """Whether searches and lists return the vessel."""
        return self in (VesselState.ACTIVE, VesselState.SYNCING)


class Vessel(VesselAttributes):
    """A vessel. Its identity is `id` alone and does not depend on a transponder number.

    `merged_into` names the vessel that took over this vessel's sightings, `split_from` the vessel
    whose sightings this vessel took over. `leaving_chips` are digests of chips that are deleted,
    unless another sighting uses them, when the change under way is finished or undone.
    `former_sightings` are the ids of the sightings that a deleted vessel had, or that an enrolling
    one takes. `replaced` is the tombstone in whose place an enrolling vessel is written.
    """

    id: UUID
    provenance: dict[str, Provenance] = Field(default_factory=dict)
    created_at: UtcTime
    updated_at: UtcTime
    state: VesselState = VesselState.ACTIVE
    merged_into: UUID | None = None
    split_from: UUID | None = None
    leaving_chips: tuple[str, ...] = ()
    former_sightings: tuple[UUID, ...] = ()
    replaced: "Vessel | None" = None

    def attributes(self) -> VesselAttributes:
        """Return the attributes alone."""
        values = self.model_dump(include=set(ATTRIBUTE_NAMES))
        return VesselAttributes.model_validate(values, context=RECORDED)

    @classmethod
    def from_record(cls, text: str | bytes) -> "Vessel":
        """Read a stored vessel, perhaps written under other rules for attributes."""
        return cls.model_validate_json(text, context=RECORDED)


class VesselFilter(Record):
    """Which vessels to list: by part of the name, or equal values; case is ignored.

    `search` holds beginnings of words of the name, of the IMO number, MMSI or call sign.
    """

    search: Line | None = None
    name: Line | None = None
    imo: str | None = None
    mmsi: str | None = None
    type: Line | None = None


@dataclass(frozen=True, slots=True)
class VesselPage:
    """One page of vessels in order of id; `next_cursor` is None on the last."""

    vessels: Sequence[Vessel]
    next_cursor: str | None
