"""Vessels and chip files that wait to be registered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

FLEET_NAMESPACE = UUID("4b0a3d0e-51c7-5c46-9d3a-0c7b2f6f1e58")
VESSEL_TEXTS = ("name", "imo", "mmsi", "callsign", "flag", "type")
VESSEL_NUMBERS = ("length_m", "beam_m")


@dataclass(frozen=True, slots=True)
class ChipFile:
    """A chip on this machine and what is known of it.

    Attributes:
        path: the file.
        metadata: fields of `chip_metadata` in `POST /gallery`; unknown ones are left out.
    """

    path: Path
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetVessel:
    """A vessel to register.

    Attributes:
        key: what the source calls it.
        id: the same for the same data set and key, so that sending again changes nothing.
        attributes: name, IMO number and so on, as in `POST /gallery`; unknown ones are left out.
        chips: its chips, at least one.
    """

    key: str
    id: UUID
    attributes: Mapping[str, object]
    chips: tuple[ChipFile, ...]

    @property
    def label(self) -> str:
        """What a person would call it."""
        return str(self.attributes.get("name") or self.key)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one source holds.

    Attributes:
        dataset: name of the source; part of every vessel's id.
        vessels: in the order of the source.
        notes: what was left aside and why, for a person.
    """

    dataset: str
    vessels: tuple[FleetVessel, ...]
    notes: tuple[str, ...] = ()

    @property
    def chips(self) -> int:
        return sum(len(vessel.chips) for vessel in self.vessels)


def vessel_id(dataset: str, key: str) -> UUID:
    """The id of a vessel of a data set; a key that is a UUID is the id itself."""
    try:
        return UUID(key)
    except ValueError:
        return uuid5(FLEET_NAMESPACE, f"{dataset}/{key}")
