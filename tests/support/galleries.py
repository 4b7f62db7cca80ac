"""A gallery of every kind for the contract suites, the server adapter over HTTP to a double.

`real_qdrant.py` adds a real Qdrant server, where the environment names one.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import SightingFilter, SightingHit, VesselQuery
from service.identity.records.vessels import Vessel
from service.storage.edge.gallery import EdgeGallery
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery
from tests.support.doubles.qdrant_http import running_qdrant
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel
from tests.support.real_qdrant import REAL_KINDS, real_server

GALLERY_KINDS = ["fake", "edge", "http", *REAL_KINDS]


@contextmanager
def open_gallery(kind: str, folder: Path) -> Iterator[Gallery]:
    """Open an empty gallery of this kind."""
    if kind == "fake":
        yield FakeGallery(BUNDLE, WIDTH)
    elif kind == "edge":
        with closing(EdgeGallery(folder, BUNDLE, WIDTH)) as edge:
            yield edge
    elif kind == "http":
        with (
            running_qdrant() as double,
            closing(
                ServerGallery(ServerConnection(double.url), bundle_id=BUNDLE, width=WIDTH)
            ) as remote,
        ):
            yield remote
    else:
        with (
            real_server() as (connect, prefix),
            closing(ServerGallery(connect(), bundle_id=BUNDLE, width=WIDTH, prefix=prefix)) as real,
        ):
            yield real


@dataclass(frozen=True)
class FoundVessel:
    """A vessel that a search found, and its sightings, most similar first."""

    vessel: Vessel
    hits: list[SightingHit]


def search(
    gallery: Gallery, vector: NDArray[np.float32], where: SightingFilter, vessels: int
) -> list[FoundVessel]:
    """Make one search."""
    results = gallery.search_each([VesselQuery(vector, where)], vessels)
    [found] = results.found
    hits = [
        SightingHit(results.sightings[row], similarity)
        for row, similarity in zip(found.sightings, found.similarity.tolist(), strict=True)
    ]
    starts = found.firsts.tolist()
    return [
        FoundVessel(results.vessels[found.vessels[start]], hits[start:end])
        for start, end in zip(starts, [*starts, len(hits)][1:], strict=True)
    ]


def enrol(gallery: Gallery, *similarities: float, **fields: object) -> Vessel:
    """Enrol a visible vessel with one optical sighting for each similarity to `query()`."""
    vessel = make_vessel(**fields)
    gallery.put_vessel(vessel)
    gallery.put_sightings([embedded(s, vessel) for s in similarities], vessel)
    return vessel
