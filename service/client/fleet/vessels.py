"""A fleet to enrol: vessels and their chip files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

FLEET_NAMESPACE = UUID("4b0a3d0e-51c7-5c46-9d3a-0c7b2f6f1e58")
VESSEL_TEXTS = ("name", "imo", "mmsi", "callsign", "flag", "type")
VESSEL_NUMBERS = ("length_m", "beam_m")


@dataclass(frozen=True, slots=True)
class ChipFile:
    """A chip on this machine with its metadata.

    Attributes:
        metadata: the known fields of `chip_metadata` in `POST /gallery`.
    """

    path: Path
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetVessel:
    """A vessel to register.

    Attributes:
        key: the source's key of the vessel.
        id: derived from data set and key, so that sending again changes nothing.
        attributes: the known fields of `vessel` in `POST /gallery`: name, IMO number and so on.
        chips: its chips, at least one.
    """

    key: str
    id: UUID
    attributes: Mapping[str, object]
    chips: tuple[ChipFile, ...]

    @property
    def label(self) -> str:
        """Name of the vessel, else its key."""
        return str(self.attributes.get("name") or self.key)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All vessels of one source.

    Attributes:
        dataset: name of the source; part of every vessel's id.
        vessels: in the order of the source.
        notes: what was skipped and why, for a person.
    """

    dataset: str
    vessels: tuple[FleetVessel, ...]
    notes: tuple[str, ...] = ()

    @property
    def chips(self) -> int:
        """Number of chips of all vessels."""
        return sum(len(vessel.chips) for vessel in self.vessels)


def vessel_id(dataset: str, key: str) -> UUID:
    """Derive a vessel's id from data set and key; a key that is a UUID is the id itself."""
    try:
        return UUID(key)
    except ValueError:
        return uuid5(FLEET_NAMESPACE, f"{dataset}/{key}")
