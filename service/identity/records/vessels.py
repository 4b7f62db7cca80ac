"""Vessels: their attributes, where each attribute comes from, and how vessels are listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from service.contract.utc_time import UtcTime
from service.identity.records.base import RECORDED, Record, Text, only_when_new
from service.identity.records.identifiers import normalise_imo, normalise_mmsi

Imo = Annotated[str, AfterValidator(only_when_new(normalise_imo))]


Mmsi = Annotated[str, AfterValidator(only_when_new(normalise_mmsi))]


class VesselAttributes(Record):
    """What is said of a vessel; every field may be unknown, none may be a placeholder."""

    name: Text | None = None
    imo: Imo | None = None
    mmsi: Mmsi | None = None
    callsign: Text | None = None
    flag: Text | None = None
    type: Text | None = None
    length_m: float | None = Field(None, gt=1, le=500)
    beam_m: float | None = Field(None, gt=0.5, le=100)


ATTRIBUTE_NAMES = tuple(VesselAttributes.model_fields)


class Provenance(Record):
    """Where an attribute came from and as of when."""

    source: str = Field(max_length=500)
    as_of: UtcTime


class VesselState(StrEnum):
    """Where a vessel stands in a change of several writes.

    Only `active` and `syncing` vessels are visible. `enrolling`, `syncing` and `deleting` are
    changes under way; if they were never acknowledged, recovery finishes or undoes them. `merged`
    is what remains of a vessel that became part of another.
    """

    ENROLLING = "enrolling"
    ACTIVE = "active"
    SYNCING = "syncing"
    DELETING = "deleting"
    MERGED = "merged"

    @property
    def visible(self) -> bool:
        return self in (VesselState.ACTIVE, VesselState.SYNCING)


class Vessel(VesselAttributes):
    """A vessel. Its identity is `id` alone and never hangs on a transponder number.

    `merged_into` names the vessel that took this one's sightings, `split_from` the vessel that
    this one's first sightings were taken from. `leaving_chips` are digests of chips whose bytes
    are forgotten, unless something else refers to them, when the change under way is settled.
    """

    id: UUID
    provenance: dict[str, Provenance] = Field(default_factory=dict)
    created_at: UtcTime
    updated_at: UtcTime
    state: VesselState = VesselState.ACTIVE
    merged_into: UUID | None = None
    split_from: UUID | None = None
    leaving_chips: tuple[str, ...] = ()

    def attributes(self) -> VesselAttributes:
        said = self.model_dump(include=set(ATTRIBUTE_NAMES))
        return VesselAttributes.model_validate(said, context=RECORDED)

    @classmethod
    def from_record(cls, text: str | bytes) -> "Vessel":
        """A vessel that was written as JSON before, perhaps under other rules for attributes."""
        return cls.model_validate_json(text, context=RECORDED)


class VesselFilter(Record):
    """Which vessels a list shows: name by substring, the rest as a whole; case does not matter."""

    name: str | None = None
    imo: str | None = None
    mmsi: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class VesselPage:
    """One page of vessels in order of id; `next_cursor` is None on the last."""

    vessels: Sequence[Vessel]
    next_cursor: str | None
