"""Compare a query with what is registered of a vessel, and with where it was seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from service.contract.weighing.context import CHIP_OVER_SHIP, Facts, Voyage, usual_speed_kn
from service.identity.evidence.kinematics import (
    DEFAULT_MAX_SPEED_KN,
    check_kinematics,
    required_speed_kn,
)
from service.identity.records.matches import Checks, KinematicsCheck, LengthCheck
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel

DEFAULT_LENGTH_TOLERANCE = 0.2
NAMED_TYPES = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits and beliefs that the analyst states.

    Attributes:
        max_speed_kn: a vessel that would need a higher speed is infeasible, in knots.
        length_tolerance: relative difference of measured and registered length, e.g. 0.2.
        looks_like: the vessel type that the analyst sees; None for no opinion.
    """

    max_speed_kn: float = DEFAULT_MAX_SPEED_KN
    length_tolerance: float = DEFAULT_LENGTH_TOLERANCE
    looks_like: str | None = None


def length_ok(query_m: float, vessel_m: float, tolerance: float) -> bool:
    """Return whether two lengths differ by at most `tolerance` times the longer one."""
    return abs(query_m - vessel_m) <= tolerance * max(query_m, vessel_m)


def ship_size_m(query: Sighting) -> tuple[float, float]:
    """Estimate length and beam of the ship in metres: the chip's sides without the usual sea."""
    over_length, over_beam = CHIP_OVER_SHIP[query.modality]
    return query.length_m / over_length, query.width_m / over_beam


def hardest_voyage(
    query: Sighting, vessel: Vessel, known: Sequence[Sighting], limits: Limits
) -> KinematicsCheck | None:
    """Return the voyage to the query, from one of a vessel's sightings, that needs most speed."""
    here = query.fix
    if not here.is_known:
        return None
    fixes = [one.fix for one in known]
    speeds = [(speed, fix) for fix in fixes if (speed := required_speed_kn(here, fix)) is not None]
    if not speeds:
        return None
    _, hardest = max(speeds, key=itemgetter(0))
    return check_kinematics(here, hardest, limits.max_speed_kn, usual_speed_kn(vessel.type))


def checks_of(
    query: Sighting, vessel: Vessel, voyage: KinematicsCheck | None, limits: Limits
) -> Checks:
    """Compare the query with a vessel's attributes; `voyage` is its `hardest_voyage`."""
    length, beam = ship_size_m(query)
    return Checks(
        length=_size_check(length, vessel.length_m, limits.length_tolerance),
        width=_size_check(beam, vessel.beam_m, limits.length_tolerance),
        kinematics=voyage,
    )


def facts_of(
    query: Sighting, vessel: Vessel, trip: KinematicsCheck | None, limits: Limits
) -> Facts:
    """Return what is known of a vessel beside its chips; `trip` is its `hardest_voyage`."""
    voyage = None
    if trip is not None:
        usual = trip.usual_kn or usual_speed_kn(vessel.type)
        voyage = Voyage(_required_kn(trip), trip.hours, usual, trip.feasible)
    agrees = None
    if limits.looks_like is not None and vessel.type is not None:
        agrees = same_type(limits.looks_like, vessel.type)
    length, beam = ship_size_m(query)
    return Facts(
        register_length_ratio=length / vessel.length_m if vessel.length_m else None,
        register_width_ratio=beam / vessel.beam_m if vessel.beam_m else None,
        type_agrees=agrees,
        voyage=voyage,
    )


def same_type(seen: str, registered: str) -> bool:
    """Return whether one of two types names the other: a product tanker is a tanker."""
    a, b = seen.casefold(), registered.casefold()
    return a in b or b in a


def type_warnings(seen: str | None, vessels: Sequence[Vessel]) -> tuple[str, ...]:
    """Return a warning if the type that the analyst sees is that of none of the vessels."""
    if seen is None:
        return ()
    types = {vessel.type for vessel in vessels if vessel.type is not None}
    if not types or any(same_type(seen, one) for one in types):
        return ()
    named = ", ".join(sorted(types)[:NAMED_TYPES]) + (", …" if len(types) > NAMED_TYPES else "")
    return (
        f"looks_like: no vessel compared is of a type like {seen!r}, so it counts against all "
        f"whose type is known: {named}",
    )


def can_have_sailed(voyage: KinematicsCheck | None) -> bool:
    """Return whether no voyage to the query is known to be impossible."""
    return voyage is None or voyage.feasible


def _required_kn(trip: KinematicsCheck) -> float:
    if trip.required_kn is not None:
        return trip.required_kn
    return 0.0 if trip.feasible else math.inf


def _size_check(query_m: float, vessel_m: float | None, tolerance: float) -> LengthCheck | None:
    if vessel_m is None:
        return None
    return LengthCheck(
        query_m=query_m,
        vessel_m=vessel_m,
        ok=length_ok(query_m, vessel_m, tolerance),
        tolerance=tolerance,
    )
