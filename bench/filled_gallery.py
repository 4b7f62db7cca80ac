"""Fill a gallery with many vessels of random embeddings, to measure or test it at scale."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.records import UNCHANGED
from service.contract.fusion import l2_normalise
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def fill_gallery(gallery: Gallery, bundle_id: str, width: int, vessels: int, each: int) -> None:
    """Register the vessels of `made_up_vessels`."""
    for vessel, sightings in made_up_vessels(bundle_id, width, vessels, each):
        gallery.put_vessel(vessel)
        gallery.put_sightings(sightings, vessel)


def made_up_vessels(
    bundle_id: str, width: int, vessels: int, each: int
) -> Iterator[tuple[Vessel, list[EmbeddedSighting]]]:
    """Yield vessels V00000 and so on; one in five is a ferry, the others are tankers.

    Each has `each` optical sightings whose embeddings, float32 `[width]`, are near each other and
    spread as those of the shipped bundle are, from a fixed seed.
    """
    for number, vectors in enumerate(vectors_of(vessels, each, width)):
        vessel = Vessel(
            id=UUID(int=number + 1),
            name=f"V{number:05}",
            type=type_of(number),
            created_at=NOW,
            updated_at=NOW,
        )
        yield (
            vessel,
            [
                EmbeddedSighting(_sighting(vessel.id, number * each + i, bundle_id), vector)
                for i, vector in enumerate(vectors)
            ],
        )


def mark_all_compared(gallery: Gallery) -> None:
    """Mark all sightings as compared with the open ones, so that no service compares them."""
    while found := gallery.uncompared(1000):
        gallery.mark_compared([one.sighting.id for one in found])


def type_of(number: int) -> str:
    """Return the type of a vessel of `made_up_vessels`."""
    return "tanker" if number % 5 else "ferry"


def vectors_of(vessels: int, each: int, width: int) -> Iterator[NDArray[np.float32]]:
    """Yield the embeddings of each vessel of `made_up_vessels`, float32 `[each, width]`."""
    rng = np.random.default_rng(0)
    for _ in range(vessels):
        vessel = _spread(rng, 1, width)
        yield l2_normalise(vessel + 0.5 * _spread(rng, each, width))


def like_embeddings(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return random unit vectors whose squares lie in as few directions as those of embeddings.

    Returns:
        float32 `[count, width]`.
    """
    return l2_normalise(_spread(np.random.default_rng(seed), count, width))


def _spread(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float32]:
    return (rng.normal(size=(count, width)) * _scales(width)).astype(np.float32)


def _scales(width: int) -> NDArray[np.float64]:
    """Return how far embeddings spread along each principal axis.

    As with the shipped bundle, some 8 % of the squares lie beyond the first 23 axes.
    """
    return np.exp(-np.arange(width) / 17.0) + 0.012


def _sighting(vessel_id: UUID, number: int, bundle_id: str) -> Sighting:
    return Sighting(
        id=UUID(int=2**100 + number),
        vessel_id=vessel_id,
        modality=Modality.OPTICAL,
        gsd_m=0.75,
        gsd_source="default",
        length_m=100.0,
        width_m=20.0,
        bit_depth="uint8",
        framing=UNCHANGED,
        chip_sha256=f"{number:064x}",
        bundle_id=bundle_id,
        recorded_at=NOW,
    )
